import { rm } from 'node:fs/promises';
import type { Entry } from '../../contract/stream.ts';
import { failure, isFailure, reasonOf } from '../../kernel/errors/failure.ts';
import type { RestoreContext } from '../port.ts';
import { phasesOf } from './archive/phases.ts';
import type { TocEntry } from './archive/toc.ts';
import {
  describeServer,
  withDatabase,
  type ConnectionParameters,
} from '../../postgres/connection/connection.ts';
import { quoteIdentifier } from '../../postgres/names.ts';
import { entryKinds } from './metadata.ts';
import { PgRestore } from './pg-restore.ts';
import { RestoreCheck } from './restore-check.ts';
import {
  applyDatabaseProperties,
  createDatabase,
  dropDatabase,
  giveToOwner,
  waitForDisk,
} from './restore-database.ts';
import { makeDirectory } from './restore-directory.ts';
import { restoreGlobals } from './restore-globals.ts';
import { notInPlace, renameIntoPlace, swapIntoPlace } from './restore-place.ts';
import type { RestoreMode, RestorePlan, RestoreWork } from './restore-options.ts';
import { contentsOf, openMaintenance, replacedPrefix, temporaryPrefix } from './restore-target.ts';
import { openSession, pinned, type Session } from '../../postgres/connection/session.ts';
import { shareOut } from './share-out.ts';
import { together } from './together.ts';

export interface RestoreSummary {
  readonly mode: RestoreMode;
  readonly database: string;
  readonly tables: number;
  readonly rows: number;
  readonly bytes: number;
  /** Tables (and large objects as one) whose content was compared with the backup. */
  readonly checked: number;
  /** The name under which the database that was there before is kept; null when there was none. */
  readonly replaced: string | null;
  readonly roles_created: readonly string[];
  /** Milliseconds, by phase, in the order they ran. */
  readonly durations_ms: Readonly<Record<string, number>>;
  readonly warnings: readonly string[];
}

/** Time for undoing, which happens after the signal that stopped the restore has fired. */
const cleanUpMs = 20_000;
/** Time for the last step, which is not stopped halfway. */
const placeMs = 60_000;

/**
 * Does what the plan says. Until the last step the target is as it was: a new database is made, filled and checked
 * under a temporary name and only then renamed; an existing one is filled in one transaction.
 * On failure and on abort the temporary database is dropped; a crash leaves it, and its name says what it is.
 * `nowNs` is a monotonic clock.
 */
export async function runRestore(
  plan: RestorePlan,
  context: RestoreContext,
  nowNs: () => bigint,
): Promise<RestoreSummary> {
  const { temporaryDirectory } = plan.work.options;
  let directory: string | undefined;
  try {
    directory = await makeDirectory(temporaryDirectory, context.log);
    return await new Restore(plan, context, directory, nowNs).run();
  } catch (error) {
    throw temporaryFailure(error, temporaryDirectory);
  } finally {
    if (directory !== undefined) await rm(directory, { recursive: true, force: true });
  }
}

/** Errors of the file system are about our own files: those of the repository have codes already. */
function temporaryFailure(error: unknown, directory: string): unknown {
  const code = (error as NodeJS.ErrnoException | undefined)?.code ?? '';
  if (isFailure(error) || !['ENOSPC', 'EDQUOT', 'EACCES', 'EROFS', 'ENOENT'].includes(code)) return error;
  return failure('postgres_restore_temporary', { directory, reason: reasonOf(error) }, { cause: error });
}

/** Tells which entries of the backup a restore by this plan will read. */
export function entriesNeeded({ work }: RestorePlan): (entry: Entry) => boolean {
  const streams = work.entries.flatMap(({ dumpId }) => work.archive.blocks.get(dumpId)?.stream ?? []);
  const roots = new Set(streams.map(({ root }) => root));
  return ({ kind, stream }) =>
    (kind !== entryKinds.table && kind !== entryKinds.blobs) || roots.has(stream?.root ?? null);
}

class Restore {
  readonly #plan: RestorePlan;
  readonly #work: RestoreWork;
  readonly #context: RestoreContext;
  readonly #directory: string;
  readonly #nowNs: () => bigint;
  readonly #durations: Record<string, number> = {};
  readonly #warnings: string[];
  #rolesCreated: readonly string[] = [];
  #checked = 0;

  constructor(plan: RestorePlan, context: RestoreContext, directory: string, nowNs: () => bigint) {
    this.#plan = plan;
    this.#work = plan.work;
    this.#context = context;
    this.#directory = directory;
    this.#nowNs = nowNs;
    this.#warnings = [...plan.summary.warnings];
  }

  async run(): Promise<RestoreSummary> {
    const { mode } = this.#plan.summary;
    const { signal, progress } = this.#context;
    progress.total(this.#plan.summary.bytes * (this.#plan.summary.check ? 2 : 1));
    const { target, maintenanceDatabase } = this.#work.options;
    let replaced: string | null = null;
    if (mode === 'create' || mode === 'replace') {
      await using maintenance = await openMaintenance(target, maintenanceDatabase, signal);
      await this.#makeRoles(maintenance);
      replaced = await this.#restoreNew(maintenance);
    } else {
      await using session = await openSession(target, signal);
      await this.#makeRoles(session);
      await this.#restoreExisting(session);
    }
    const { rows, bytes, tables } = this.#plan.summary;
    return {
      mode,
      database: target.database,
      tables: tables.length,
      rows,
      bytes,
      checked: this.#checked,
      replaced,
      roles_created: this.#rolesCreated,
      durations_ms: this.#durations,
      warnings: this.#warnings,
    };
  }

  async #makeRoles(session: Session): Promise<void> {
    const { globals } = this.#work;
    if (globals === undefined) return;
    const { created, warnings } = await this.#timed('roles', 'making roles', () =>
      restoreGlobals(globals, session),
    );
    this.#rolesCreated = created;
    this.#warnings.push(...warnings);
  }

  /** Gives the name under which the database before is kept, if there was one. */
  async #restoreNew(maintenance: Session): Promise<string | null> {
    const { options, database } = this.#work;
    const { signal } = this.#context;
    const temporary = temporaryPrefix + options.randomHex(4);
    const server = pinned(maintenance);
    let keep = false;
    try {
      await this.#timed('create', `making database ${temporary}`, () =>
        createDatabase(maintenance, temporary, database),
      );
      if (options.noOwner !== true) await giveToOwner(maintenance, temporary, database.owner);
      // Idle for hours, the connection could be cut by the server or a firewall.
      await maintenance.close();
      await this.#restoreInPhases(withoutWaiting(withDatabase(server, temporary)));
      await this.#properties(server, temporary);
      keep = true; // from here on the data are whole, and a failure to rename must not cost them
      return await this.#timed('rename', `renaming it to ${options.target.database}`, () =>
        this.#putInPlace(server, temporary),
      );
    } catch (error) {
      if (!keep || signal.aborted) throw await this.#undone(server, temporary, error);
      throw notInPlace(describeServer(server), temporary, options.target.database, error);
    }
  }

  async #properties(server: ConnectionParameters, temporary: string): Promise<void> {
    const { options, database, archive } = this.#work;
    if (options.only !== undefined && options.only.length > 0) return;
    await using maintenance = await openSession(server, this.#context.signal);
    this.#warnings.push(
      ...(await applyDatabaseProperties(maintenance, temporary, database, archive.toc, {
        noOwner: options.noOwner === true,
        noPrivileges: options.noPrivileges === true,
      })),
    );
  }

  /** Once begun, the renaming is not aborted: it is waited for, so that what is said of it is so. */
  async #putInPlace(server: ConnectionParameters, temporary: string): Promise<string | null> {
    const { signal } = this.#context;
    signal.throwIfAborted();
    const { options } = this.#work;
    const wanted = options.target.database;
    await using maintenance = await openSession(server, AbortSignal.timeout(placeMs));
    await waitForDisk(maintenance);
    if (this.#plan.summary.mode === 'create') {
      await renameIntoPlace(maintenance, temporary, wanted);
      return null;
    }
    const kept = replacedPrefix + options.randomHex(4);
    await swapIntoPlace(maintenance, temporary, wanted, kept, signal);
    this.#warnings.push(
      `the database before is kept as ${kept}; drop it with DROP DATABASE ${quoteIdentifier(kept)}`,
    );
    return kept;
  }

  /** Drops the temporary database with a time limit of its own; the error to report stays the one that came first. */
  async #undone(server: ConnectionParameters, temporary: string, error: unknown): Promise<unknown> {
    const signal = AbortSignal.timeout(cleanUpMs);
    try {
      await using session = await openSession(server, signal);
      await dropDatabase(session, temporary, signal);
    } catch (second) {
      this.#context.log.warn('the temporary database of a failed restore could not be dropped', {
        database: temporary,
        reason: reasonOf(second),
      });
    }
    return error;
  }

  /**
   * What makes tables, then their data side by side, then indexes, keys and all that needs the data. Every share of the
   * tables is compared with the backup as soon as it is filled, while it is still in memory; nothing after that writes
   * rows.
   */
  async #restoreInPhases(connection: ConnectionParameters): Promise<void> {
    const { signal, jobs } = this.#context;
    const phases = phasesOf(this.#work.entries);
    const tool = new PgRestore(this.#work, connection, this.#context, this.#directory);
    await this.#timed('schema', 'making tables', () => tool.withoutData(phases.beforeData, 1, signal));
    const check = this.#newCheck(connection);
    await check?.prepare();
    await this.#timed('data', 'filling and comparing tables', async () => {
      const fill = this.#shares(phases.data).map((share) => async (either: AbortSignal) => {
        await tool.withData(share, either, { transaction: false });
        await check?.compareTables(share, either);
      });
      await together(fill, signal);
      await check?.compareBlobs(signal);
    });
    if (check !== undefined) this.#judge(check, 'the target was left as it was');
    await this.#timed('indexes', 'making indexes and constraints', () =>
      tool.withoutData(phases.afterData, jobs, signal),
    );
  }

  async #restoreExisting(session: Session): Promise<void> {
    const { signal } = this.#context;
    const connection = pinned(session);
    if (this.#plan.summary.mode === 'fill') await this.#stillEmpty(session);
    const tool = new PgRestore(this.#work, connection, this.#context, this.#directory);
    // Within one transaction pg_restore keeps its own order; SECTION_NONE entries go where they stand.
    await this.#timed('restore', 'restoring in one transaction', () =>
      tool.withData(this.#work.entries, signal, { transaction: true }),
    );
    const check = this.#newCheck(connection);
    if (check === undefined) return;
    await this.#timed('check', 'comparing with the backup', async () => {
      await check.prepare();
      const compare = this.#shares(this.#work.entries.filter(({ hasData }) => hasData)).map(
        (share) => async (either: AbortSignal) => await check.compareTables(share, either),
      );
      await together(compare, signal);
      await check.compareBlobs(signal);
    });
    this.#judge(check, 'what was restored is there, and should be looked at before use');
  }

  async #stillEmpty(session: Session): Promise<void> {
    const found = await contentsOf(session);
    if (found === undefined) return;
    throw failure('postgres_restore_not_empty', {
      database: this.#work.options.target.database,
      server: session.setting.server,
      found,
    });
  }

  /** Data of about the same size for every job. */
  #shares(entries: readonly TocEntry[]): TocEntry[][] {
    const { blocks } = this.#work.archive;
    const weight = ({ dumpId }: TocEntry): number => blocks.get(dumpId)?.stream?.size_bytes ?? 0;
    return shareOut(entries, this.#context.jobs, weight);
  }

  #newCheck(connection: ConnectionParameters): RestoreCheck | undefined {
    return this.#plan.summary.check ? new RestoreCheck(this.#work, connection, this.#context) : undefined;
  }

  #judge({ compared, differing, warnings }: RestoreCheck, state: string): void {
    this.#checked = compared;
    this.#warnings.push(...warnings);
    if (differing.length === 0) return;
    const names = differing.length > 10 ? `${differing.slice(0, 10).join(', ')} …` : differing.join(', ');
    throw failure(
      'postgres_restore_check',
      { count: differing.length, total: compared, names, state },
      { details: { differing } },
    );
  }

  async #timed<T>(name: string, phase: string, body: () => Promise<T>): Promise<T> {
    this.#context.progress.phase(phase);
    const start = this.#nowNs();
    const result = await body();
    this.#durations[name] = Number((this.#nowNs() - start) / 1_000_000n);
    return result;
  }
}

/**
 * Statements need not wait for the disk while a new database is made: it gets its name by a commit that does wait,
 * and the log of the server is written in order.
 */
function withoutWaiting(connection: ConnectionParameters): ConnectionParameters {
  return { ...connection, options: `${connection.options} -c synchronous_commit=off`.trim() };
}
