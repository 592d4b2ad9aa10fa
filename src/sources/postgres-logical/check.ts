import { isFailure, type HoldfastError } from '../../kernel/errors/failure.ts';
import type { Finding } from '../port.ts';
import {
  withDatabase,
  type ConnectionParameters,
  type Environment,
} from '../../postgres/connection/connection.ts';
import { chooseDatabases, openServer, type WantedDatabases } from './databases.ts';
import { quoteIdentifier } from '../../postgres/names.ts';
import { leftoverDatabases } from './restore-target.ts';
import { openSession, pinned, type Session } from '../../postgres/connection/session.ts';
import { together } from './together.ts';
import { findTools, type ToolName } from '../../postgres/tools.ts';

export interface PostgresCheckOptions {
  readonly connection: ConnectionParameters;
  readonly databases?: WantedDatabases;
  /** False: roles and tablespaces are not wanted. */
  readonly globals?: boolean | undefined;
  readonly env: Environment;
  readonly toolsDirectory?: string | undefined;
}

/** How many databases are looked at side by side. */
const atOnce = 4;

/** What `doctor` says of a source of kind `postgres`. Changes nothing; a failed question becomes a finding, never a throw. */
export async function checkPostgres(options: PostgresCheckOptions, signal: AbortSignal): Promise<Finding[]> {
  let session: Session;
  try {
    session = await openServer(options.connection, options.databases, signal);
  } catch (error) {
    return [brokenBy('connection', error, signal)];
  }
  await using open = session;
  const findings: Finding[] = [
    {
      check: 'connection',
      level: 'ok',
      message: `connected to ${open.setting.server} as ${options.connection.user}`,
    },
    versionFinding(open),
  ];
  for (const tool of ['pg_dump', 'pg_dumpall', 'pg_restore', 'psql'] as const)
    findings.push(await toolFinding(tool, options, open, signal));
  try {
    const names = await chooseDatabases(options.connection, options.databases, open);
    findings.push(...(await checkDatabases(pinned(open), names, signal)));
  } catch (error) {
    findings.push(brokenBy('databases', error, signal));
  }
  const questions = options.globals === false ? [standby, leftovers] : [globals, standby, leftovers];
  for (const question of questions) findings.push(...(await ask(question, open, signal)));
  return findings;
}

type Question = (session: Session) => Promise<Finding[]>;

async function ask(question: Question, session: Session, signal: AbortSignal): Promise<Finding[]> {
  try {
    return await question(session);
  } catch (error) {
    return [brokenBy(question.name, error, signal)];
  }
}

interface CheckedDatabase {
  readonly findings: readonly Finding[];
  /** Undefined when it could not be asked. */
  readonly bytes: number | undefined;
}

/** What stands in the way in any of the databases, and how big they are together. */
async function checkDatabases(
  server: ConnectionParameters,
  names: readonly string[],
  signal: AbortSignal,
): Promise<Finding[]> {
  const checked = new Map<string, CheckedDatabase>();
  const waiting = names.values();
  const checkSome = async (either: AbortSignal): Promise<void> => {
    // All of these share one iterator: each takes the next name that none has taken.
    for (const name of waiting) checked.set(name, await checkDatabase(withDatabase(server, name), either));
  };
  await together(Array<typeof checkSome>(Math.min(atOnce, names.length)).fill(checkSome), signal);
  const inOrder = names.flatMap((name) => checked.get(name) ?? []);
  const findings = inOrder.flatMap((database) => database.findings);
  if (findings.length === 0) {
    const message = `every table, sequence and large object of ${listed(names)} can be read`;
    findings.push({ check: 'permissions', level: 'ok', message });
  }
  if (inOrder.some(({ bytes }) => bytes === undefined)) return findings;
  const bytes = inOrder.reduce((sum, database) => sum + (database.bytes ?? 0), 0);
  const amount = `${(bytes / 2 ** 20).toFixed(1)} MiB`;
  const message =
    names.length === 1 ? `${listed(names)} has ${amount}` : `${listed(names)} have ${amount} together`;
  return [...findings, { check: 'size', level: 'ok', message }];
}

async function checkDatabase(
  connection: ConnectionParameters,
  signal: AbortSignal,
): Promise<CheckedDatabase> {
  try {
    await using session = await openSession(connection, signal);
    const findings: Finding[] = [];
    for (const question of [readability, rowSecurity, largeObjects])
      findings.push(...(await ask(question, session, signal)));
    return { findings, bytes: await size(session) };
  } catch (error) {
    return { findings: [brokenBy(`database ${connection.database}`, error, signal)], bytes: undefined };
  }
}

function listed(names: readonly string[]): string {
  if (names.length === 1) return `database ${names.join('')}`;
  const more = names.length > 5 ? ` and ${names.length - 5} more` : '';
  return `databases ${names.slice(0, 5).join(', ')}${more}`;
}

/** The finding for an error with a code; anything else, and an abort, is thrown on. */
function brokenBy(check: string, error: unknown, signal: AbortSignal): Finding {
  signal.throwIfAborted();
  if (!isFailure(error)) throw error;
  return broken(check, error);
}

function broken(check: string, error: HoldfastError): Finding {
  return { check, level: 'error', message: error.message, mend: error.hint, code: error.code };
}

function versionFinding({ serverVersionNumber, serverVersion }: Session): Finding {
  const major = Math.floor(serverVersionNumber / 10_000);
  const message = `PostgreSQL ${serverVersion}`;
  if (major >= 14 && major <= 18) return { check: 'version', level: 'ok', message };
  return {
    check: 'version',
    level: 'warning',
    message: `${message} is outside of 14 to 18, the releases Holdfast is tested with`,
    mend: 'restore a backup of it into a new database before you rely on it',
  };
}

async function toolFinding(
  tool: ToolName,
  options: PostgresCheckOptions,
  session: Session,
  signal: AbortSignal,
): Promise<Finding> {
  const major = Math.floor(session.serverVersionNumber / 10_000);
  try {
    const search = { env: options.env, signal, directory: options.toolsDirectory };
    const tools = await findTools(search, tool, major, `a server of version ${session.serverVersion}`);
    return { check: `tools ${tool}`, level: 'ok', message: `${tool} ${tools.version} in ${tools.directory}` };
  } catch (error) {
    return brokenBy(`tools ${tool}`, error, signal);
  }
}

async function readability(session: Session): Promise<Finding[]> {
  const rows = await session.query<{ name: string }>(
    `SELECT pg_catalog.format('%I.%I', n.nspname, c.relname) AS name
       FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
      WHERE c.relkind IN ('r', 'p', 'S') AND c.relpersistence <> 't'
        AND n.nspname <> 'information_schema' AND n.nspname !~ '^pg_'
        AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend d
                         WHERE d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.objid = c.oid AND d.deptype = 'e')
        AND NOT (pg_catalog.has_schema_privilege(n.oid, 'USAGE')
                 AND CASE c.relkind WHEN 'S' THEN pg_catalog.has_sequence_privilege(c.oid, 'SELECT')
                                    ELSE pg_catalog.has_table_privilege(c.oid, 'SELECT') END)
      ORDER BY 1`,
  );
  if (rows.length === 0) return [];
  const names = rows
    .slice(0, 5)
    .map(({ name }) => name)
    .join(', ');
  const { user, database } = session.parameters;
  return [
    {
      check: 'permissions',
      level: 'error',
      code: 'HF-5007',
      message: `in database ${database} tables or sequences cannot be read (${rows.length}): ${names}${rows.length > 5 ? ' …' : ''}`,
      mend: `GRANT pg_read_all_data TO ${quoteIdentifier(user)};`,
    },
  ];
}

async function rowSecurity(session: Session): Promise<Finding[]> {
  const rows = await session.query<{ name: string }>(
    `SELECT pg_catalog.format('%I.%I', n.nspname, c.relname) AS name
       FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
      WHERE c.relkind IN ('r', 'p') AND c.relrowsecurity AND pg_catalog.row_security_active(c.oid) ORDER BY 1`,
  );
  if (rows.length === 0) return [];
  return [
    {
      check: 'row-level security',
      level: 'error',
      code: 'HF-5013',
      message: `in database ${session.parameters.database} row-level security hides rows of ${rows.map(({ name }) => name).join(', ')}; a dump would be refused`,
      mend: `ALTER ROLE ${quoteIdentifier(session.parameters.user)} BYPASSRLS;`,
    },
  ];
}

async function largeObjects(session: Session): Promise<Finding[]> {
  const [row] = await session.query<{ count: string }>(
    `SELECT count(*)::text AS count FROM pg_catalog.pg_largeobject_metadata m
      WHERE NOT pg_catalog.pg_has_role(m.lomowner, 'USAGE')
        AND NOT EXISTS (SELECT FROM pg_catalog.aclexplode(m.lomacl) a
                         WHERE a.privilege_type = 'SELECT' AND (a.grantee = 0 OR pg_catalog.pg_has_role(a.grantee, 'USAGE')))
        AND NOT (SELECT rolsuper FROM pg_catalog.pg_roles WHERE rolname = current_user)`,
  );
  if (row === undefined || row.count === '0') return [];
  return [
    {
      check: 'large objects',
      level: 'error',
      code: 'HF-5007',
      message: `in database ${session.parameters.database} large objects cannot be read (${row.count})`,
      mend: 'GRANT SELECT ON LARGE OBJECT … for each of them, or back up as their owner or as a superuser',
    },
  ];
}

async function globals(session: Session): Promise<Finding[]> {
  const [row] = await session.query<{ readable: boolean }>(
    `SELECT pg_catalog.has_table_privilege('pg_catalog.pg_authid', 'SELECT') AS readable`,
  );
  if (row?.readable === true)
    return [{ check: 'roles', level: 'ok', message: 'roles can be saved with their passwords' }];
  return [
    {
      check: 'roles',
      level: 'warning',
      message: 'the passwords of roles cannot be saved by this user',
      mend: 'GRANT pg_read_all_data to it to have them; or globals: false in the source, which leaves roles out',
    },
  ];
}

async function size(session: Session): Promise<number> {
  const [row] = await session.query<{ bytes: string }>(
    'SELECT pg_catalog.pg_database_size(pg_catalog.current_database())::text AS bytes',
  );
  return Number(row?.bytes);
}

async function standby(session: Session): Promise<Finding[]> {
  if (!session.inRecovery) return [];
  return [
    {
      check: 'standby',
      level: 'warning',
      message:
        'the server is a standby: unlogged tables are saved without rows, and long dumps may be cancelled by replay',
      mend: 'set hot_standby_feedback = on or a larger max_standby_streaming_delay there',
    },
  ];
}

async function leftovers(session: Session): Promise<Finding[]> {
  const names = await leftoverDatabases(session);
  return names.map((name): Finding => ({
    check: 'leftovers',
    level: 'warning',
    message: `an interrupted restore left database ${name} behind`,
    mend: `DROP DATABASE ${quoteIdentifier(name)};`,
  }));
}
