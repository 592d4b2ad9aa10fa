import pgpass from 'pgpass';

/** Whose password is wanted, as the lines of a password file name it. */
export interface PasswordFileKey {
  readonly host: string;
  readonly port: number;
  readonly database: string;
  readonly user: string;
}

/**
 * The password that `~/.pgpass` (or `PGPASSFILE`) has for a connection, as libpq would find it; undefined without one.
 * A socket's directory goes by the name of localhost as well.
 * https://www.postgresql.org/docs/current/libpq-pgpass.html
 */
export async function passwordFromFile(key: PasswordFileKey): Promise<string | undefined> {
  const found = await look(key);
  return found === undefined && key.host.startsWith('/') ? await look({ ...key, host: 'localhost' }) : found;
}

function look(key: PasswordFileKey): Promise<string | undefined> {
  return new Promise((resolve) => pgpass(key, resolve));
}
