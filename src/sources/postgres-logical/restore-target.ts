import { failure, isFailure } from '../../kernel/errors/failure.ts';
import { plural } from '../../kernel/plural.ts';
import type { TocEntry } from './archive/toc.ts';
import { withDatabase, type ConnectionParameters } from '../../postgres/connection/connection.ts';
import type { DatabaseMetadata } from './metadata.ts';
import { openSession, type Session } from '../../postgres/connection/session.ts';

/** Names that a crash can leave behind; no one else gives these. */
export const temporaryPrefix = 'holdfast_restoring_';
export const replacedPrefix = 'holdfast_replaced_';

/** Refuses a name that would spoil the server or be taken for what a crash left. Throws `postgres_restore_target`. */
export function checkTargetName(database: string): void {
  const refuse = (reason: string): Error =>
    failure('postgres_restore_target', { target: `database ${database}`, reason });
  if (database === 'template0' || database === 'template1')
    throw refuse('it is a template, of which the server makes every new database');
  if (database.startsWith(temporaryPrefix)) throw refuse('only a restore under way has such a name');
}

/**
 * True when objects can be given to the role and still be worked on: superusers, the role itself, and members that
 * inherit its rights.
 */
export async function mayActAs(session: Session, role: string): Promise<boolean> {
  const set = session.serverVersionNumber >= 160_000 ? `AND pg_catalog.pg_has_role(r.oid, 'SET')` : '';
  const rows = await session.query(
    `SELECT FROM pg_catalog.pg_roles r WHERE r.rolname = $1 AND pg_catalog.pg_has_role(r.oid, 'USAGE') ${set}`,
    [role],
  );
  return rows.length > 0;
}

/** The database itself when it exists, and a connection to its server in any case. */
export async function openTarget(
  target: ConnectionParameters,
  maintenanceDatabase: string | undefined,
  signal: AbortSignal,
): Promise<{ readonly session: Session; readonly exists: boolean }> {
  try {
    return { session: await openSession(target, signal), exists: true };
  } catch (error) {
    if (!isFailure(error, 'postgres_database_missing')) throw error;
  }
  return { session: await openMaintenance(target, maintenanceDatabase, signal), exists: false };
}

/** A connection from which databases can be made and renamed. */
export async function openMaintenance(
  target: ConnectionParameters,
  maintenanceDatabase: string | undefined,
  signal: AbortSignal,
): Promise<Session> {
  const names = maintenanceDatabase === undefined ? ['postgres', 'template1'] : [maintenanceDatabase];
  let last: unknown;
  for (const name of names) {
    try {
      return await openSession(withDatabase(target, name), signal);
    } catch (error) {
      if (!isFailure(error, 'postgres_database_missing')) throw error;
      last = error;
    }
  }
  throw last;
}

/** What a user has put into this database, in words; undefined when that is nothing. Members of extensions do not count. */
export async function contentsOf(session: Session): Promise<string | undefined> {
  const member = (catalogue: string, oid: string): string =>
    `NOT EXISTS (SELECT FROM pg_catalog.pg_depend d WHERE d.classid = 'pg_catalog.${catalogue}'::pg_catalog.regclass
                  AND d.objid = ${oid} AND d.deptype = 'e')`;
  const userSchema = (oid: string): string =>
    `${oid} IN (SELECT n.oid FROM pg_catalog.pg_namespace n WHERE n.nspname <> 'information_schema' AND n.nspname !~ '^pg_')`;
  const [row] = await session.query<Record<string, string>>(
    `SELECT (SELECT count(*) FROM pg_catalog.pg_class c WHERE c.relkind IN ('r','p','f') AND ${userSchema('c.relnamespace')} AND ${member('pg_class', 'c.oid')}) AS table,
            (SELECT count(*) FROM pg_catalog.pg_class c WHERE c.relkind IN ('v','m') AND ${userSchema('c.relnamespace')} AND ${member('pg_class', 'c.oid')}) AS view,
            (SELECT count(*) FROM pg_catalog.pg_class c WHERE c.relkind = 'S' AND ${userSchema('c.relnamespace')} AND ${member('pg_class', 'c.oid')}) AS sequence,
            (SELECT count(*) FROM pg_catalog.pg_proc p WHERE ${userSchema('p.pronamespace')} AND ${member('pg_proc', 'p.oid')}) AS function,
            (SELECT count(*) FROM pg_catalog.pg_class c WHERE c.relkind = 'c' AND ${userSchema('c.relnamespace')} AND ${member('pg_class', 'c.oid')})
            + (SELECT count(*) FROM pg_catalog.pg_type t WHERE t.typtype IN ('d','e','r') AND ${userSchema('t.typnamespace')} AND ${member('pg_type', 't.oid')}) AS type,
            (SELECT count(*) FROM pg_catalog.pg_namespace n WHERE n.nspname NOT IN ('public','information_schema') AND n.nspname !~ '^pg_' AND ${member('pg_namespace', 'n.oid')}) AS schema,
            (SELECT count(*) FROM pg_catalog.pg_largeobject_metadata) AS large_object`,
  );
  const found = Object.entries(row ?? {}).filter(([, count]) => count !== '0');
  return found.length === 0
    ? undefined
    : found.map(([what, count]) => plural(Number(count), what.replace('_', ' '))).join(', ');
}

/** Names among `roles` that the server does not have. */
export async function missingRoles(session: Session, roles: readonly string[]): Promise<string[]> {
  const rows = await session.query<{ role: string }>(
    `SELECT r.role FROM pg_catalog.unnest($1::text[]) AS r(role)
      WHERE NOT EXISTS (SELECT FROM pg_catalog.pg_roles p WHERE p.rolname = r.role) ORDER BY 1`,
    [roles],
  );
  return rows.map(({ role }) => role);
}

/** Names among `names` that the server does not have, or that this user may not put anything into. */
export async function missingTablespaces(session: Session, names: readonly string[]): Promise<string[]> {
  const rows = await session.query<{ name: string }>(
    `SELECT n.name FROM pg_catalog.unnest($1::text[]) AS n(name)
      WHERE NOT EXISTS (SELECT FROM pg_catalog.pg_tablespace t
                         WHERE t.spcname = n.name AND pg_catalog.has_tablespace_privilege(t.oid, 'CREATE')) ORDER BY 1`,
    [names],
  );
  return rows.map(({ name }) => name);
}

export interface AvailableExtension {
  readonly name: string;
  readonly versions: readonly string[];
}

export async function availableExtensions(session: Session): Promise<AvailableExtension[]> {
  return await session.query<{ name: string; versions: string[] }>(
    `SELECT e.name, ARRAY(SELECT v.version FROM pg_catalog.pg_available_extension_versions v WHERE v.name = e.name)
              || e.default_version AS versions
       FROM pg_catalog.pg_available_extensions e`,
  );
}

/** False when no collation of the server uses the libc locale; it may then still exist, but probably does not. */
export async function knowsLocale(
  session: Session,
  { locale_provider, collate }: DatabaseMetadata,
): Promise<boolean> {
  if (locale_provider !== 'c' || collate === 'C' || collate === 'POSIX') return true;
  const normal = (name: string): string => name.toLowerCase().replaceAll('-', '');
  const rows = await session.query<{ name: string }>(
    `SELECT collcollate AS name FROM pg_catalog.pg_collation WHERE collcollate IS NOT NULL
      UNION SELECT datcollate FROM pg_catalog.pg_database`,
  );
  return rows.some(({ name }) => normal(name) === normal(collate));
}

export async function mayCreateDatabase(session: Session): Promise<boolean> {
  const [row] = await session.query<{ may: boolean }>(
    'SELECT rolsuper OR rolcreatedb AS may FROM pg_catalog.pg_roles WHERE rolname = current_user',
  );
  return row?.may ?? false;
}

/** The owner of the database, when this user is not and may make nothing in its schema public; else undefined. */
export async function ownerWhoKeepsPublic(session: Session): Promise<string | undefined> {
  const [row] = await session.query<{ owner: string }>(
    `SELECT pg_catalog.pg_get_userbyid(d.datdba) AS owner FROM pg_catalog.pg_database d, pg_catalog.pg_namespace n
      WHERE d.datname = pg_catalog.current_database() AND n.nspname = 'public'
        AND NOT pg_catalog.pg_has_role(d.datdba, 'USAGE') AND NOT pg_catalog.has_schema_privilege(n.oid, 'CREATE')`,
  );
  return row?.owner;
}

/** Databases that an interrupted restore left behind and nobody is connected to. */
export async function leftoverDatabases(session: Session): Promise<string[]> {
  const rows = await session.query<{ name: string }>(
    `SELECT d.datname AS name FROM pg_catalog.pg_database d
      WHERE d.datname ~ '^${temporaryPrefix}[0-9a-f]{8}$'
        AND NOT EXISTS (SELECT FROM pg_catalog.pg_stat_activity a WHERE a.datid = d.oid) ORDER BY 1`,
  );
  return rows.map(({ name }) => name);
}

/** Whether an object of this entry's kind and name is in the database already; undefined where that cannot be told. */
export async function existsInTarget(session: Session, entry: TocEntry): Promise<boolean | undefined> {
  const { description, tag, schema } = entry;
  const ask = async (sql: string, values: readonly string[]): Promise<boolean> =>
    (await session.query(sql, values)).length > 0;
  switch (description) {
    case 'SCHEMA':
      return tag === 'public' || (await ask('SELECT FROM pg_catalog.pg_namespace WHERE nspname = $1', [tag]));
    case 'EXTENSION':
      return await ask('SELECT FROM pg_catalog.pg_extension WHERE extname = $1', [tag]);
    case 'TABLE':
    case 'VIEW':
    case 'MATERIALIZED VIEW':
    case 'FOREIGN TABLE':
    case 'SEQUENCE':
    case 'INDEX':
      return await ask(
        `SELECT FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
          WHERE n.nspname = $1 AND c.relname = $2`,
        [schema, tag],
      );
    case 'TYPE':
    case 'SHELL TYPE':
    case 'DOMAIN':
      return await ask(
        `SELECT FROM pg_catalog.pg_type t JOIN pg_catalog.pg_namespace n ON n.oid = t.typnamespace
          WHERE n.nspname = $1 AND t.typname = $2`,
        [schema, tag],
      );
    case 'FUNCTION':
    case 'PROCEDURE':
    case 'AGGREGATE':
      // The tag has the argument types: `f(integer)`.
      return await ask(
        `SELECT FROM pg_catalog.pg_proc p JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace
          WHERE n.nspname = $1 AND p.proname || '(' || pg_catalog.pg_get_function_identity_arguments(p.oid) || ')' = $2
             OR n.nspname = $1 AND p.oid = pg_catalog.to_regprocedure(pg_catalog.quote_ident($1) || '.' || $2)`,
        [schema, tag],
      );
    case 'COLLATION':
      return await ask(
        `SELECT FROM pg_catalog.pg_collation c JOIN pg_catalog.pg_namespace n ON n.oid = c.collnamespace
          WHERE n.nspname = $1 AND c.collname = $2`,
        [schema, tag],
      );
    case 'FOREIGN DATA WRAPPER':
      return await ask('SELECT FROM pg_catalog.pg_foreign_data_wrapper WHERE fdwname = $1', [tag]);
    case 'SERVER':
      return await ask('SELECT FROM pg_catalog.pg_foreign_server WHERE srvname = $1', [tag]);
    default:
      return undefined;
  }
}
