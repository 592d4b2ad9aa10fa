import { isFailure, failure } from '../../../kernel/errors/failure.ts';
import type { Session } from '../../../postgres/connection/session.ts';
import { parseLsn, type Lsn } from '../../../postgres/lsn.ts';
import { quoteIdentifier } from '../../../postgres/names.ts';

/** What is asked of a server before its files are read. */
export interface ServerFacts {
  readonly major: number;
  readonly version: string;
  readonly versionNumber: number;
  readonly inRecovery: boolean;
  readonly systemIdentifier: string;
  readonly catalogVersion: number;
  readonly pageBytes: number;
  /** Pages of a segment of a relation. */
  readonly segmentPages: number;
  readonly walSegmentBytes: number;
  readonly dataChecksums: boolean;
  readonly walLevel: string;
  readonly port: number;
  /** When the server started, in seconds since 1970. */
  readonly startedAt: number;
}

export interface DatabaseFact {
  readonly oid: number;
  readonly name: string;
  readonly xmin: string;
}

export interface TablespaceFact {
  readonly oid: number;
  readonly path: string;
}

export const oldestMajor = 14;
export const newestMajor = 18;

/** `cluster_version`, `cluster_wal_level`, `cluster_privileges` where it cannot be backed up. */
export async function readServerFacts(session: Session): Promise<ServerFacts> {
  const major = Math.floor(session.serverVersionNumber / 10_000);
  if (major < oldestMajor || major > newestMajor) {
    throw failure('cluster_version', { server: session.setting.server, version: session.serverVersion });
  }
  const [row] = await session.query<Record<string, string>>(
    `SELECT s.system_identifier::text AS system_identifier, s.catalog_version_no::text AS catalog_version,
            i.database_block_size::text AS page_bytes, i.blocks_per_segment::text AS segment_pages,
            i.bytes_per_wal_segment::text AS wal_segment_bytes,
            i.data_page_checksum_version::text AS checksum_version,
            current_setting('wal_level') AS wal_level, current_setting('port') AS port,
            extract(epoch FROM pg_postmaster_start_time())::text AS started_at
       FROM pg_control_system() AS s, pg_control_init() AS i`,
  );
  if (row === undefined) throw failure('internal', { reason: 'a query without a row' });
  const number = (name: string): number => Number(row[name]);
  const facts: ServerFacts = {
    major,
    version: session.serverVersion,
    versionNumber: session.serverVersionNumber,
    inRecovery: session.inRecovery,
    // A signed number in SQL, an unsigned one everywhere else.
    systemIdentifier: BigInt.asUintN(64, BigInt(row['system_identifier'] ?? '0')).toString(),
    catalogVersion: number('catalog_version'),
    pageBytes: number('page_bytes'),
    segmentPages: number('segment_pages'),
    walSegmentBytes: number('wal_segment_bytes'),
    dataChecksums: number('checksum_version') !== 0,
    walLevel: row['wal_level'] ?? '',
    port: number('port'),
    startedAt: number('started_at'),
  };
  if (facts.walLevel === 'minimal') throw failure('cluster_wal_level', { server: session.setting.server });
  await checkPrivileges(session, major);
  return facts;
}

async function checkPrivileges(session: Session, major: number): Promise<void> {
  const functions =
    major >= 15
      ? ['pg_backup_start(text, boolean)', 'pg_backup_stop(boolean)']
      : ['pg_start_backup(text, boolean, boolean)', 'pg_stop_backup(boolean, boolean)'];
  const missing: string[] = [];
  for (const name of functions) {
    const [row] = await session.query<{ may: boolean }>(
      "SELECT has_function_privilege('pg_catalog.' || $1, 'EXECUTE') AS may",
      [name],
    );
    if (row?.may !== true) missing.push(name);
  }
  if (missing.length === 0) return;
  const { user, database, setting } = { ...session.parameters, setting: session.setting };
  const grants = missing
    .map((name) => `GRANT EXECUTE ON FUNCTION ${name} TO ${quoteIdentifier(user)};`)
    .join(' ');
  throw failure('cluster_privileges', { server: setting.server, user, database, grants });
}

export async function readDatabases(session: Session): Promise<readonly DatabaseFact[]> {
  const rows = await session.query<{ oid: string; name: string; xmin: string }>(
    'SELECT oid::text, datname AS name, xmin::text FROM pg_database ORDER BY oid',
  );
  return rows.map(({ oid, name, xmin }) => ({ oid: Number(oid), name, xmin }));
}

/** All but `pg_default` and `pg_global`, which lie in the data directory. */
export async function readTablespaces(session: Session): Promise<readonly TablespaceFact[]> {
  const rows = await session.query<{ oid: string; path: string }>(
    `SELECT oid::text, pg_tablespace_location(oid) AS path FROM pg_tablespace
      WHERE spcname NOT IN ('pg_default', 'pg_global') ORDER BY oid`,
  );
  return rows.map(({ oid, path }) => ({ oid: Number(oid), path }));
}

/** Where configuration files lie; as far as this user may know. */
export async function readConfigPaths(session: Session): Promise<readonly string[]> {
  const rows = await session.query<{ path: string | null }>(
    `SELECT setting AS path FROM pg_settings WHERE name IN ('config_file', 'hba_file', 'ident_file')
     UNION SELECT sourcefile FROM pg_settings`,
  );
  return rows.flatMap(({ path }) => (path === null || path === '' ? [] : [path])).toSorted();
}

/** How far the WAL has come that the server has written or, as a standby, replayed. */
export async function readPosition(session: Session): Promise<Lsn> {
  const source = session.inRecovery
    ? "coalesce(pg_last_wal_replay_lsn(), '0/0')"
    : 'pg_current_wal_insert_lsn()';
  const [row] = await session.query<{ lsn: string }>(`SELECT ${source}::text AS lsn`);
  return lsnFrom(row?.lsn);
}

export function lsnFrom(text: string | undefined): Lsn {
  const lsn = parseLsn(text ?? '');
  if (lsn === undefined) throw failure('internal', { reason: `the server answered ${text} for a position` });
  return lsn;
}

/** By the clock of the server. */
export async function serverTime(session: Session): Promise<string> {
  const [row] = await session.query<{ now: string }>(
    `SELECT to_char(clock_timestamp() AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') AS now`,
  );
  return row?.now ?? '';
}

/** Whether a call was refused for what the server, or this user, does not have to give. */
export function isServerRefusal(error: unknown): boolean {
  return isFailure(error) && error.kind !== 'interrupted' && error.kind !== 'unreachable';
}
