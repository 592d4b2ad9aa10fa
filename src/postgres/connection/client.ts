import { readFile } from 'node:fs/promises';
import type { ConnectionOptions } from 'node:tls';
import pg from 'pg';
import { failure, type HoldfastError } from '../../kernel/errors/failure.ts';
import type { ConnectionParameters, HostPort, SessionAttributes } from './connection.ts';
import { passwordFromFile } from './password-file.ts';
import { isreadyArguments, serverFailure, type ServerSetting } from './server-errors.ts';

/** Tries the hosts in order; rejects with what the last one said, or with the signal's reason. */
export async function firstThatOpens<T>(
  parameters: ConnectionParameters,
  signal: AbortSignal,
  open: (host: HostPort) => Promise<T>,
): Promise<T> {
  let last: unknown;
  for (const host of parameters.hosts) {
    signal.throwIfAborted();
    try {
      return await open(host);
    } catch (error) {
      signal.throwIfAborted();
      last = error;
    }
  }
  throw last;
}

/** Throws `postgres_refused` when the server is not of the kind that the parameters ask for. */
export function demandRole(
  { targetSessionAttributes }: ConnectionParameters,
  setting: ServerSetting,
  inRecovery: boolean,
  readOnly: boolean,
): void {
  if (fits(targetSessionAttributes, inRecovery, readOnly)) return;
  throw failure('postgres_refused', {
    server: setting.server,
    reason: `it is not ${targetSessionAttributes}`,
    isready: isreadyArguments(setting),
  });
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

export interface ClientOptions {
  /** The server sends what it writes instead of answering SQL. */
  readonly replication?: boolean;
  /** What the server calls us: in its log, in `pg_stat_replication`, in `synchronous_standby_names`. Default `holdfast`. */
  readonly applicationName?: string | undefined;
  /** Makes the coded error of what the server says; `serverFailure` unless given. */
  readonly asFailure?: (error: unknown, setting: ServerSetting) => HoldfastError;
  /** Breaks the attempt off; what it rejects with then is for the caller to put the signal's reason in place of. */
  readonly signal?: AbortSignal;
}

/**
 * Connects to one host. `prefer` first asks for TLS and then does without, as libpq does; the other modes have one try.
 * Throws coded errors.
 */
export async function connectClient(
  parameters: ConnectionParameters,
  host: HostPort,
  setting: ServerSetting,
  {
    replication = false,
    applicationName = 'holdfast',
    asFailure = serverFailure,
    signal,
  }: ClientOptions = {},
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
    const config: pg.ClientConfig & { replication?: string } = {
      host: host.host,
      port: host.port,
      user,
      database,
      password: password?.reveal() ?? fromFile,
      ssl,
      application_name: applicationName,
      connectionTimeoutMillis: parameters.connectTimeoutSeconds * 1000,
      keepAlive: true,
      ...(parameters.options === '' ? {} : { options: parameters.options }),
      ...(replication ? { replication: 'true' } : {}),
    };
    const client = new pg.Client(config);
    client.on('error', () => undefined); // the promise of connect() says the same
    const onAbort = (): void => void client.connection.stream.destroy();
    signal?.addEventListener('abort', onAbort, { once: true });
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
    } finally {
      signal?.removeEventListener('abort', onAbort);
    }
  }
  throw asFailure(last, { ...setting, passwordMissing });
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
