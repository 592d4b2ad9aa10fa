import { failure, isFailure } from '../../../../kernel/errors/failure.ts';
import type { ConnectionParameters } from '../../../../postgres/connection/connection.ts';
import { openSession, type Session } from '../../../../postgres/connection/session.ts';
import type { WalPoint } from '../../../../postgres/replication/base-backup.ts';
import type { BackupContext, PreviousBackup } from '../../../port.ts';
import { readConfigPaths, readDatabases, readPosition, serverTime, type DatabaseFact } from '../facts.ts';
import { readDatabasePlaces, type DatabasePlace } from '../moved.ts';
import { planParent } from '../rule.ts';
import type { BackupLinks } from './connections.ts';
import type { Plan } from './parent.ts';

export interface Looked {
  readonly databases: readonly DatabaseFact[];
  /** Configuration files, as far as this role may know. */
  readonly configPaths: readonly string[];
  readonly plan: Plan;
}

/** What is asked in SQL beside the replication, where the server lets this role in for that. */
export class SqlSide implements AsyncDisposable {
  readonly warnings: readonly string[];
  readonly #session: Session | undefined;
  readonly #refused: string;

  private constructor(session: Session | undefined, refused: string, warnings: readonly string[]) {
    this.#session = session;
    this.#refused = refused;
    this.warnings = warnings;
  }

  static async open(
    { here, server }: BackupLinks,
    { signal, log }: Pick<BackupContext, 'signal' | 'log'>,
  ): Promise<SqlSide> {
    try {
      return new SqlSide(await openSession(here, signal), '', []);
    } catch (error) {
      signal.throwIfAborted();
      if (!isFailure(error)) throw error;
      log.debug('no SQL beside the replication', { server, reason: error.message });
      const reason = error.message;
      const { code, message } = failure('cluster_sql_refused', { server, user: here.user, reason });
      return new SqlSide(undefined, reason, [`${code}: ${message}`]);
    }
  }

  /** By the server's clock; undefined when it cannot be asked. */
  async time(): Promise<string | undefined> {
    return this.#session === undefined ? undefined : await serverTime(this.#session);
  }

  /** Undefined when it cannot be asked. */
  async places(): Promise<readonly DatabasePlace[] | undefined> {
    return this.#session === undefined ? undefined : await readDatabasePlaces(this.#session);
  }

  /** What a backup that has begun builds on. */
  async look(
    { facts }: BackupLinks,
    { lsn: startLsn, timeline }: WalPoint,
    wanted: { readonly previous: PreviousBackup | null } | { readonly fullBecause: string },
  ): Promise<Looked> {
    const session = this.#session;
    if (session === undefined) {
      // A database that was made anew under the number of another could not be told from that one.
      const fullBecause = `the databases could not be listed: ${this.#refused}`;
      const isFirst = 'previous' in wanted && wanted.previous === null;
      const plan = isFirst ? planOfNone : 'fullBecause' in wanted ? wanted : { fullBecause };
      return { databases: [], configPaths: [], plan };
    }
    const databases = await readDatabases(session);
    const configPaths = await readConfigPaths(session);
    if ('fullBecause' in wanted) return { databases, configPaths, plan: wanted };
    const position = await readPosition(session);
    const nowhere = { host: '', dataDirectory: '' }; // No file is kept unread.
    const situation = { facts, databases, timeline, startLsn, position, ...nowhere };
    return { databases, configPaths, plan: planParent(wanted.previous, situation) };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#session?.close();
  }
}

/** Where the databases are by now; undefined when it cannot be asked. */
export async function placesNow(
  { here }: BackupLinks,
  signal: AbortSignal,
): Promise<readonly DatabasePlace[] | undefined> {
  await using session = await openSqlIfAllowed(here, signal);
  return session === undefined ? undefined : await readDatabasePlaces(session);
}

/** A session, or undefined where the server lets this role have none. */
export async function openSqlIfAllowed(
  connection: ConnectionParameters,
  signal: AbortSignal,
): Promise<Session | undefined> {
  try {
    return await openSession(connection, signal);
  } catch (error) {
    signal.throwIfAborted();
    if (!isFailure(error)) throw error;
    return undefined;
  }
}

const planOfNone: Plan = { fullBecause: 'it is the first backup' };
