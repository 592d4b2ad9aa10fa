import type pg from 'pg';
import { failure } from '../../kernel/errors/failure.ts';
import { connectClient, demandRole, firstThatOpens } from './client.ts';
import {
  describeServer,
  extraVariables,
  type ConnectionParameters,
  type Environment,
  type HostPort,
} from './connection.ts';
import { serverFailure, type ServerSetting } from './server-errors.ts';

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
  return await firstThatOpens(parameters, signal, (host) => openHost(parameters, host, signal));
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
    demandRole(parameters, setting, facts.recovery, facts.read_only === 'on');
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
