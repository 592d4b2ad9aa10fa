import { failure, isFailure, type HoldfastError } from '../../kernel/errors/failure.ts';
import type { BackupContext, BackupOutcome } from '../port.ts';
import { addArchives } from './archive-entries.ts';
import type { ConnectionParameters, Environment } from '../../postgres/connection/connection.ts';
import { withDatabase } from '../../postgres/connection/connection.ts';
import { chooseDatabases, openServer, type WantedDatabases } from './databases.ts';
import { planArchives, dumpArguments, type ArchivePlan, type DumpSettings } from './dump-plan.ts';
import { dumpTaskModule, type DumpMessage, type DumpOutput } from './dump-task.ts';
import { backupGlobals } from './globals.ts';
import {
  estimateDumpBytes,
  findLockHolder,
  listBigTables,
  readDatabaseFacts,
  type SizedTable,
} from './inventory.ts';
import type { DatabaseMetadata, PostgresMetadata } from './metadata.ts';
import { checkNameEncoding } from './name-encoding.ts';
import {
  childEnvironment,
  openSession,
  pinned,
  settingOf,
  type Session,
} from '../../postgres/connection/session.ts';
import { shareSnapshot } from './snapshot.ts';
import { findWiden, type Widen } from '../../postgres/stdio-buffers.ts';
import { together } from './together.ts';
import { findTools, toolPath, type Tools } from '../../postgres/tools.ts';

export interface PostgresBackupOptions {
  readonly connection: ConnectionParameters;
  readonly databases?: WantedDatabases;
  /** Roles and tablespaces as well. Default true. */
  readonly globals?: boolean | undefined;
  /** Where the client tools are, when they should not be looked for. */
  readonly toolsDirectory?: string | undefined;
  /** How long to wait for a table that is locked. Default 60 s. */
  readonly lockWaitMs?: number | undefined;
  /** Tables from this size on may be dumped beside the others. Default 64 MiB. */
  readonly bigTableBytes?: number | undefined;
  /** Databases below this size are dumped by one pg_dump. Default 64 MiB. */
  readonly smallDatabaseBytes?: number | undefined;
  readonly env: Environment;
}

const mebibyte = 1_048_576;
const defaultLockWaitMs = 60_000;
/** Each is an argument of pg_dump. */
const mostBigTables = 256;

/**
 * Backs up databases by pg_dump, each from one consistent snapshot, and stores every table as a stream of its own.
 * Throws the coded errors of kernel/errors/postgres.ts; nothing is skipped without a warning.
 */
export async function backupPostgres(
  options: PostgresBackupOptions,
  context: BackupContext,
): Promise<BackupOutcome> {
  const { connection, databases: wanted } = options;
  await using session = await openServer(connection, wanted, context.signal);
  const major = Math.floor(session.serverVersionNumber / 10_000);
  const search = { env: options.env, signal: context.signal, directory: options.toolsDirectory };
  const tools = await findTools(search, 'pg_dump', major, `a server of version ${session.serverVersion}`);
  const names = await chooseDatabases(connection, wanted, session);
  const server = pinned(session);
  const widen = await findWiden(search);
  const warnings: string[] = [];
  const globals =
    options.globals === false
      ? { path: null, passwords: false, warnings: [] }
      : await backupGlobals(session, tools, options.env, context);
  warnings.push(...globals.warnings);

  const databases: DatabaseMetadata[] = [];
  for (const name of names) {
    const job = new DatabaseBackup(withDatabase(server, name), { tools, widen }, options, context);
    databases.push(await job.run());
    warnings.push(...job.warnings.map((warning) => (names.length > 1 ? `${name}: ${warning}` : warning)));
  }
  const metadata: PostgresMetadata = {
    schema: 1,
    server_version_number: session.serverVersionNumber,
    server_version: session.serverVersion,
    pg_dump_version: tools.version,
    in_recovery: session.inRecovery,
    globals: { path: globals.path, passwords: globals.passwords },
    databases,
  };
  return { metadata, warnings };
}

interface Programs {
  readonly tools: Tools;
  readonly widen: Widen;
}

/** The backup of one database: one pg_dump, or several side by side on one snapshot. */
class DatabaseBackup {
  readonly warnings: string[] = [];
  readonly #connection: ConnectionParameters;
  readonly #programs: Programs;
  readonly #options: PostgresBackupOptions;
  readonly #context: BackupContext;
  readonly #lockWaitMs: number;
  /** What progress was told to expect, and what has come. */
  #expected = 0;
  #read = 0;

  constructor(
    connection: ConnectionParameters,
    programs: Programs,
    options: PostgresBackupOptions,
    context: BackupContext,
  ) {
    this.#connection = connection;
    this.#programs = programs;
    this.#options = options;
    this.#context = context;
    this.#lockWaitMs = options.lockWaitMs ?? defaultLockWaitMs;
  }

  async run(): Promise<DatabaseMetadata> {
    const { progress, signal } = this.#context;
    progress.phase(`reading the catalogue of ${this.#connection.database}`);
    try {
      await using session = await openSession(this.#connection, signal);
      await session.query(`SET lock_timeout = ${Math.max(1, Math.floor(this.#lockWaitMs))}`);
      const facts = await readDatabaseFacts(session);
      await checkNameEncoding(session, facts.encoding);
      this.#expect(await estimateDumpBytes(session));
      const bigTables = await this.#bigTables(session, facts.size_bytes);
      const outputs = await this.#dumpAll(session, facts.size_bytes, bigTables);
      this.warnings.push(...outputs.flatMap(([, { warnings }]) => warnings));
      return { ...facts, ...(await addArchives(facts.name, outputs, this.#context)) };
    } catch (error) {
      throw isFailure(error, 'postgres_lock_timeout') ? await this.#withLockHolder(error) : error;
    }
  }

  #expect(bytes: number): void {
    this.#expected += bytes;
    this.#context.progress.total(bytes);
  }

  /** The estimate grows with what it did not foresee: a total below what was read would be none. */
  #advance(bytes: number): void {
    this.#read += bytes;
    if (this.#read > this.#expected) this.#expect(this.#read - this.#expected);
    this.#context.progress.advance(bytes);
  }

  async #bigTables(session: Session, sizeBytes: number): Promise<SizedTable[]> {
    if (this.#context.jobs < 2 || sizeBytes < (this.#options.smallDatabaseBytes ?? 64 * mebibyte)) return [];
    return await listBigTables(session, this.#options.bigTableBytes ?? 64 * mebibyte, mostBigTables);
  }

  async #dumpAll(
    session: Session,
    sizeBytes: number,
    bigTables: readonly SizedTable[],
  ): Promise<[ArchivePlan, DumpOutput][]> {
    const bigBytes = bigTables.reduce((sum, { bytes }) => sum + bytes, 0);
    let plans = planArchives(bigTables, Math.max(0, sizeBytes - bigBytes), this.#context.jobs);
    const elsewhere = plans.slice(1).flatMap(({ tables }) => tables);
    const snapshot = plans.length > 1 ? await shareSnapshot(session, elsewhere, this.#lockWaitMs) : undefined;
    if (plans.length > 1 && snapshot === undefined) {
      this.warnings.push('the server cannot share a snapshot, so one pg_dump dumped everything');
      plans = planArchives([], 0, 1);
    }
    const settings: DumpSettings = {
      snapshot: snapshot?.id,
      lockWaitMs: this.#lockWaitMs,
      withoutUnlogged: session.inRecovery,
    };
    if (session.inRecovery)
      this.warnings.push('taken from a standby: unlogged tables are there without their rows');
    const connection = pinned(session);
    const outputs = await together(
      plans.map((plan) => async (signal): Promise<[ArchivePlan, DumpOutput]> => [
        plan,
        await this.#runDump(plan, settings, connection, signal),
      ]),
      this.#context.signal,
    );
    await snapshot?.release();
    return outputs;
  }

  async #runDump(
    plan: ArchivePlan,
    settings: DumpSettings,
    connection: ConnectionParameters,
    signal: AbortSignal,
  ): Promise<DumpOutput> {
    const { password, ...setting } = settingOf(connection, this.#lockWaitMs);
    const { progress } = this.#context;
    const { tools, widen } = this.#programs;
    return await this.#context.run(
      dumpTaskModule,
      {
        ...widen({ command: toolPath(tools, 'pg_dump'), args: dumpArguments(plan, settings) }),
        env: childEnvironment(connection, this.#options.env),
        setting: { ...setting, password: password?.reveal() },
      },
      {
        signal,
        onProgress: (bytes) => this.#advance(bytes),
        onMessage: (message) => progress.phase(`dumping ${(message as DumpMessage).dumping}`),
      },
    );
  }

  /** The same error, with the name of the table and of whoever holds the lock, if that can still be seen. */
  async #withLockHolder(error: HoldfastError): Promise<HoldfastError> {
    try {
      await using session = await openSession(this.#connection, this.#context.signal);
      const found = await findLockHolder(session);
      if (found === undefined) return error;
      return failure(
        'postgres_lock_timeout',
        {
          ...found,
          seconds: Math.round(this.#lockWaitMs / 1000),
          database: this.#connection.database,
        },
        { cause: error },
      );
    } catch {
      return error; // looking was a courtesy; what stopped the backup is the lock
    }
  }
}
