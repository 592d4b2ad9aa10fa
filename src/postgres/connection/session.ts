import { readFile } from 'node:fs/promises';
import type { ConnectionOptions } from 'node:tls';
import pg from 'pg';
import { failure } from '../../kernel/errors/failure.ts';
import {
  describeHost,
  describeServer,
  extraVariables,
  type ConnectionParameters,
  type Environment,
  type HostPort,
  type SessionAttributes,
} from './connection.ts';
import { passwordFromFile } from './password-file.ts';
import { isreadyArguments, serverFailure, type ServerSetting } from './server-errors.ts';

/**
 * Settings every dump, restore and comparison runs under, whatever the role or the database has set, so that the same
 * value always has the same text and the same text makes the same value.
 */
const textSettings = Object.entries({
  datestyle: 'ISO',
  intervalstyle: 'postgres',
  timezone: 'UTC',
  extra_float_digits: '3',
  bytea_output: 'hex',
  lc_monetary: 'C',
  xmloption: 'content',
  array_nulls: 'on',
  quote_all_identifiers: 'off',
  transform_null_equals: 'off',
  synchronize_seqscans: 'off',
})
  .map(([name, value]) => `-c ${name}=${value}`)
  .join(' ');

/** A role or a database may have it on; what the connection itself asks for goes before. */
const mayWrite = '-c default_transaction_read_only=off';

/** An open connection that gives coded errors. */
export interface Session extends AsyncDisposable {
  /** The host that answered: child processes must go to the same one. */
  readonly host: HostPort;
  readonly parameters: ConnectionParameters;
  readonly setting: ServerSetting;
  /** 150018 for 15.18. */
  readonly serverVersionNumber: number;
  /** `15.18 (Debian …)`. */
  readonly serverVersion: string;
  readonly inRecovery: boolean;
  query<R extends pg.QueryResultRow>(sql: string, values?: readonly unknown[]): Promise<R[]>;
  close(): Promise<void>;
}

/**
 * Connects to the first host that answers and fits. Aborting closes the connection.
 * Throws the coded errors of `server-errors.ts`, or the signal's reason.
 */
export async function openSession(parameters: ConnectionParameters, signal: AbortSignal): Promise<Session> {
  let last: unknown;
  for (const host of parameters.hosts) {
    signal.throwIfAborted();
    try {
      return await openHost(parameters, host, signal);
    } catch (error) {
      signal.throwIfAborted();
      last = error;
    }
  }
  throw last;
}

/** Parameters for whatever must talk to the very server of this session. */
export function pinned(session: Session): ConnectionParameters {
  return { ...session.parameters, hosts: [session.host], targetSessionAttributes: 'any' };
}

export function settingOf(parameters: ConnectionParameters, lockWaitMs?: number): ServerSetting {
  const { user, database, password } = parameters;
  return { server: describeServer(parameters), user, database, password, lockWaitMs };
}

/**
 * The environment of a child process: PG* variables and what a program needs to run, nothing else of ours.
 *
 * The password travels in PGPASSWORD of the child alone. Linux and macOS show the environment of a process only to
 * its own user and root, who could read it in our memory as well; a password file would outlive a crash on disk.
 */
export function childEnvironment(parameters: ConnectionParameters, env: Environment): Record<string, string> {
  const child: Record<string, string> = {
    PATH: env['PATH'] ?? '',
    LC_ALL: 'C',
    PGHOST: parameters.hosts.map(({ host }) => host).join(','),
    PGPORT: parameters.hosts.map(({ port }) => port).join(','),
    PGUSER: parameters.user,
    PGDATABASE: parameters.database,
    PGSSLMODE: parameters.sslMode,
    PGTARGETSESSIONATTRS: parameters.targetSessionAttributes,
    PGCONNECT_TIMEOUT: String(parameters.connectTimeoutSeconds),
    PGAPPNAME: 'holdfast',
    PGTZ: 'UTC',
    PGOPTIONS: `${mayWrite} ${parameters.options} ${textSettings}`,
  };
  for (const name of ['HOME', 'TMPDIR', 'SYSTEMROOT', 'KRB5CCNAME', 'LD_LIBRARY_PATH']) {
    const value = env[name];
    if (value !== undefined) child[name] = value;
  }
  for (const [name, value] of Object.entries(parameters.extra)) {
    const variable = extraVariables[name];
    if (variable !== undefined) child[variable] = value;
  }
  if (parameters.password !== undefined) child['PGPASSWORD'] = parameters.password.reveal();
  return child;
}

async function openHost(
  parameters: ConnectionParameters,
  host: HostPort,
  signal: AbortSignal,
): Promise<Session> {
  const setting = settingOf({ ...parameters, hosts: [host] });
  const client = await connectClient(parameters, host, setting);
  // Without a listener a connection that breaks while idle would end the process; the next query reports it.
  let broken: Error | undefined;
  client.on('error', (error) => {
    broken ??= error;
  });
  const onAbort = (): void => {
    void client.end().catch(() => undefined); // the query under way rejects, and that is what is reported
  };
  signal.addEventListener('abort', onAbort, { once: true });
  const close = async (): Promise<void> => {
    signal.removeEventListener('abort', onAbort);
    await client.end().catch(() => undefined); // already gone is closed too
  };
  const query = async <R extends pg.QueryResultRow>(
    sql: string,
    values: readonly unknown[] = [],
  ): Promise<R[]> => {
    signal.throwIfAborted();
    try {
      return (await client.query<R>(sql, [...values])).rows;
    } catch (error) {
      signal.throwIfAborted();
      throw serverFailure(broken ?? error, setting);
    }
  };
  try {
    const [facts] = await query<{ number: string; version: string; recovery: boolean; read_only: string }>(
      `SELECT current_setting('server_version_num') AS number, current_setting('server_version') AS version,
              pg_catalog.pg_is_in_recovery() AS recovery, current_setting('transaction_read_only') AS read_only`,
    );
    if (facts === undefined) throw failure('internal', { reason: 'a query without a row' });
    if (!fits(parameters.targetSessionAttributes, facts.recovery, facts.read_only === 'on')) {
      throw failure('postgres_refused', {
        server: describeHost(host),
        reason: `it is not ${parameters.targetSessionAttributes}`,
        isready: isreadyArguments(setting),
      });
    }
    await query(
      `SELECT pg_catalog.set_config(name, value, false)
         FROM (VALUES ('idle_session_timeout', '0'), ('idle_in_transaction_session_timeout', '0'),
                      ('quote_all_identifiers', 'off'), ('default_transaction_read_only', 'off')) AS ours(name, value)
        WHERE name IN (SELECT s.name FROM pg_catalog.pg_settings s WHERE s.source <> 'client')`,
    );
    return {
      host,
      parameters,
      setting,
      query,
      close,
      serverVersionNumber: Number(facts.number),
      serverVersion: facts.version,
      inRecovery: facts.recovery,
      [Symbol.asyncDispose]: close,
    };
  } catch (error) {
    await close();
    throw error;
  }
}

function fits(wanted: SessionAttributes, inRecovery: boolean, readOnly: boolean): boolean {
  switch (wanted) {
    case 'read-write':
      return !readOnly;
    case 'read-only':
      return readOnly;
    case 'primary':
      return !inRecovery;
    case 'standby':
      return inRecovery;
    default:
      return true;
  }
}

/** `prefer` first asks for TLS and then does without, as libpq does; the other modes have one try. */
async function connectClient(
  parameters: ConnectionParameters,
  host: HostPort,
  setting: ServerSetting,
): Promise<pg.Client> {
  const local = host.host.startsWith('/');
  const tries: (false | ConnectionOptions)[] = local ? [false] : await tlsTries(parameters, host.host);
  let last: unknown;
  const { user, database, password } = parameters;
  let passwordMissing = false;
  const fromFile = async (): Promise<string> => {
    const found = await passwordFromFile({ ...host, user, database });
    passwordMissing = found === undefined;
    return found as string; // Without one pg goes on, too, although its types want a string.
  };
  for (const ssl of tries) {
    const client = new pg.Client({
      host: host.host,
      port: host.port,
      user,
      database,
      password: password?.reveal() ?? fromFile,
      ssl,
      application_name: 'holdfast',
      connectionTimeoutMillis: parameters.connectTimeoutSeconds * 1000,
      keepAlive: true,
      ...(parameters.options === '' ? {} : { options: parameters.options }),
    });
    client.on('error', () => undefined); // the promise of connect() says the same
    try {
      await client.connect();
      return client;
    } catch (error) {
      await client.end().catch(() => undefined);
      if (error instanceof Error && error.message === 'timeout expired') {
        throw failure('postgres_refused', {
          server: setting.server,
          reason: 'no answer in time',
          isready: isreadyArguments(setting),
        });
      }
      last = error;
      if (ssl === false || !/does not support SSL/.test(error instanceof Error ? error.message : '')) break;
    }
  }
  throw serverFailure(last, { ...setting, passwordMissing });
}

async function tlsTries(
  parameters: ConnectionParameters,
  host: string,
): Promise<(false | ConnectionOptions)[]> {
  const { sslMode, extra } = parameters;
  if (sslMode === 'disable' || sslMode === 'allow') return [false];
  const rootFile = extra['sslrootcert'];
  const checked =
    sslMode === 'verify-ca' || sslMode === 'verify-full' || (sslMode === 'require' && rootFile !== undefined);
  const options: ConnectionOptions = {
    rejectUnauthorized: checked,
    servername: /^[\d.]+$|:/.test(host) ? '' : host,
  };
  try {
    if (rootFile !== undefined && rootFile !== 'system') options.ca = await readFile(rootFile);
    if (extra['sslcert'] !== undefined) options.cert = await readFile(extra['sslcert']);
    if (extra['sslkey'] !== undefined) options.key = await readFile(extra['sslkey']);
  } catch (error) {
    throw failure('postgres_tls', {
      server: host,
      reason: error instanceof Error ? error.message : 'a file cannot be read',
    });
  }
  if (sslMode !== 'verify-full') options.checkServerIdentity = () => undefined;
  return sslMode === 'prefer' ? [options, false] : [options];
}
