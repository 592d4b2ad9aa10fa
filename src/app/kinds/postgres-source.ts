import type { ClusterSourceConfig } from '../../contract/config-source-cluster.ts';
import type { PostgresSourceConfig } from '../../contract/config-source-postgres.ts';
import type { Secret } from '../../kernel/secret.ts';
import {
  connectionFromFields,
  connectionFromUrl,
  type ConnectionParameters,
} from '../../postgres/connection/connection.ts';
import type { WantedDatabases } from '../../sources/postgres-logical/databases.ts';
import { readSecretFile } from '../secret-file.ts';

/** A source that is a PostgreSQL server or a part of one. */
type ServerConfig = PostgresSourceConfig | ClusterSourceConfig;
type Env = Readonly<Record<string, string | undefined>>;

/** The connection a source's settings and the PG* variables make. Throws `postgres_url` and what a secret file throws. */
export async function connectionOf(
  name: string,
  source: ServerConfig,
  env: Env,
): Promise<ConnectionParameters> {
  const password = await passwordOf(name, source);
  const own = withOwnSettings(source, env, password);
  const url = source.url ?? (await urlFromFile(name, source));
  if (url !== undefined) return connectionFromUrl(url.reveal(), own);
  const { host, port, user, database } = source;
  return connectionFromFields({ host, port, user, password, database }, own);
}

/** What a URL leaves open comes from the source's other settings, and only then from the PG* variables. */
function withOwnSettings(source: ServerConfig, env: Env, password: Secret | undefined): Env {
  const own: Record<string, string | undefined> = { ...env };
  if (source.sslmode !== undefined) own['PGSSLMODE'] = source.sslmode;
  if (source.sslrootcert !== undefined) own['PGSSLROOTCERT'] = source.sslrootcert;
  if (source.sslcert !== undefined) own['PGSSLCERT'] = source.sslcert;
  if (source.sslkey !== undefined) own['PGSSLKEY'] = source.sslkey;
  if (password !== undefined) own['PGPASSWORD'] = password.reveal();
  // Where databases are listed, which one is connected to first matters to nobody: not one named as the role.
  if (source.type === 'postgres-cluster' || source.databases !== undefined) own['PGDATABASE'] ||= 'postgres';
  own['PGCONNECT_TIMEOUT'] ??= String(Math.max(1, Math.ceil(source.connect_timeout / 1000)));
  return own;
}

async function passwordOf(name: string, source: ServerConfig): Promise<Secret | undefined> {
  if (source.password !== undefined || source.password_file === undefined) return source.password;
  return readSecretFile(source.password_file, `sources.${name}.password_file`);
}

async function urlFromFile(name: string, source: ServerConfig): Promise<Secret | undefined> {
  if (source.url_file === undefined) return undefined;
  return readSecretFile(source.url_file, `sources.${name}.url_file`);
}

/** What a source's `databases` asks for. */
export function wantedDatabases({ databases }: PostgresSourceConfig): WantedDatabases {
  return databases?.includes('*') === true ? 'all' : databases;
}
