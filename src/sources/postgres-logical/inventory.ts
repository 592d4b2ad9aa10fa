import { failure } from '../../kernel/errors/failure.ts';
import type { DatabaseMetadata } from './metadata.ts';
import type { Session } from '../../postgres/connection/session.ts';

export interface SizedTable {
  readonly schema: string;
  readonly table: string;
  readonly bytes: number;
}

export type DatabaseFacts = Omit<DatabaseMetadata, 'tables' | 'rows' | 'bytes' | 'archives'>;

/** Every database of the server that is no template and takes connections, by name. */
export async function listDatabases(session: Session): Promise<string[]> {
  const rows = await session.query<{ name: string }>(
    `SELECT datname AS name FROM pg_catalog.pg_database WHERE datallowconn AND NOT datistemplate ORDER BY datname COLLATE "C"`,
  );
  return rows.map(({ name }) => name);
}

/** What the manifest says about the database of this session. */
export async function readDatabaseFacts(session: Session): Promise<DatabaseFacts> {
  const version = session.serverVersionNumber;
  const provider = version >= 150_000 ? 'd.datlocprovider::text' : `'c'`;
  const locale = version >= 170_000 ? 'd.datlocale' : version >= 150_000 ? 'd.daticulocale' : 'NULL::text';
  const rules = version >= 160_000 ? 'd.daticurules' : 'NULL::text';
  const [row] = await session.query<{
    name: string;
    owner: string;
    encoding: string;
    collate: string;
    ctype: string;
    locale_provider: string;
    locale: string | null;
    icu_rules: string | null;
    tablespace: string;
    size_bytes: string;
  }>(
    `SELECT d.datname AS name, pg_catalog.pg_get_userbyid(d.datdba) AS owner,
            pg_catalog.pg_encoding_to_char(d.encoding) AS encoding, d.datcollate AS collate, d.datctype AS ctype,
            ${provider} AS locale_provider, ${locale} AS locale, ${rules} AS icu_rules, t.spcname AS tablespace,
            pg_catalog.pg_database_size(d.oid)::text AS size_bytes
       FROM pg_catalog.pg_database d JOIN pg_catalog.pg_tablespace t ON t.oid = d.dattablespace
      WHERE d.datname = pg_catalog.current_database()`,
  );
  if (row === undefined) throw failure('internal', { reason: 'the current database is not in pg_database' });
  const extensions = await session.query<{ name: string; version: string; schema: string }>(
    `SELECT e.extname AS name, e.extversion AS version, n.nspname AS schema
       FROM pg_catalog.pg_extension e JOIN pg_catalog.pg_namespace n ON n.oid = e.extnamespace ORDER BY 1`,
  );
  const roles = await session.query<{ role: string }>(
    `SELECT DISTINCT pg_catalog.pg_get_userbyid(refobjid) AS role FROM pg_catalog.pg_shdepend
      WHERE refclassid = 'pg_catalog.pg_authid'::pg_catalog.regclass
        AND (dbid = (SELECT oid FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database())
             OR (classid = 'pg_catalog.pg_database'::pg_catalog.regclass
                 AND objid = (SELECT oid FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database())))
      ORDER BY 1`,
  );
  return { ...row, size_bytes: Number(row.size_bytes), extensions, roles: roles.map(({ role }) => role) };
}

/**
 * About how much a dump of this database will read: tables with what they keep out of line, and large objects; without
 * indexes, and without materialized views, whose rows are not dumped. The text of a row may be longer or shorter. A
 * table that somebody has locked is passed over: asking for its size would wait, and an estimate is not worth that.
 */
export async function estimateDumpBytes(session: Session): Promise<number> {
  const [row] = await session.query<{ bytes: string }>(
    `SELECT coalesce(sum(CASE WHEN c.oid IN (SELECT l.relation FROM pg_catalog.pg_locks l
                                              WHERE l.locktype = 'relation' AND l.mode = 'AccessExclusiveLock')
                              THEN 0 ELSE pg_catalog.pg_table_size(c.oid) END), 0)::text AS bytes
       FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
      WHERE c.oid = 'pg_catalog.pg_largeobject'::pg_catalog.regclass
         OR c.relkind = 'r' AND c.relpersistence <> 't' AND n.nspname <> 'information_schema' AND n.nspname !~ '^pg_'
            AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend d
                             WHERE d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.objid = c.oid
                               AND d.deptype = 'e')`,
  );
  return Number(row?.bytes);
}

/**
 * Tables whose own data are at least `leastBytes`, biggest first, at most `limit`. Only ordinary tables (partitions
 * are such): a partitioned parent, a view, a foreign table has no data that pg_dump would dump. Members of extensions
 * are left to the archive with the schema, because pg_dump has rules of its own for them.
 */
export async function listBigTables(
  session: Session,
  leastBytes: number,
  limit: number,
): Promise<SizedTable[]> {
  const rows = await session.query<{ schema: string; table: string; bytes: string }>(
    `SELECT n.nspname AS schema, c.relname AS table, s.bytes::text AS bytes
       FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
            CROSS JOIN LATERAL (SELECT pg_catalog.pg_table_size(c.oid) AS bytes) s
      WHERE c.relkind = 'r' AND c.relpersistence <> 't'
        AND n.nspname <> 'information_schema' AND n.nspname !~ '^pg_'
        AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend d
                         WHERE d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.objid = c.oid
                           AND d.deptype = 'e')
        AND s.bytes >= $1
      ORDER BY s.bytes DESC, 1, 2 LIMIT $2`,
    [leastBytes, limit],
  );
  return rows.map(({ schema, table, bytes }) => ({ schema, table, bytes: Number(bytes) }));
}

export interface LockHolder {
  readonly object: string;
  readonly holder: string;
  readonly pid: number;
}

/** Who holds a lock in this database that a dump has to wait for. */
export async function findLockHolder(session: Session): Promise<LockHolder | undefined> {
  const [row] = await session.query<{
    object: string;
    pid: number;
    user: string | null;
    application: string | null;
  }>(
    `SELECT pg_catalog.format('%I.%I', n.nspname, c.relname) AS object, l.pid, a.usename AS user,
            a.application_name AS application
       FROM pg_catalog.pg_locks l
       JOIN pg_catalog.pg_class c ON c.oid = l.relation
       JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
       LEFT JOIN pg_catalog.pg_stat_activity a ON a.pid = l.pid
      WHERE l.locktype = 'relation' AND l.granted AND l.mode = 'AccessExclusiveLock'
        AND l.database = (SELECT oid FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database())
        AND c.relkind IN ('r', 'p', 'S', 'm', 'v', 'f')
      ORDER BY a.xact_start NULLS LAST, c.relkind = 'S', l.pid LIMIT 1`,
  );
  if (row === undefined) return undefined;
  const application = row.application === null || row.application === '' ? '' : ` (${row.application})`;
  return {
    object: row.object,
    pid: row.pid,
    holder: `process ${row.pid} of user ${row.user ?? 'unknown'}${application}`,
  };
}
