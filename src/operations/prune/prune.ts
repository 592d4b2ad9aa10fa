import { indexAgentPacks } from '../../repository/gc/agent-copies.ts';
import { compactIndexes } from '../../repository/gc/compact-index.ts';
import { settleHomes } from '../../repository/gc/homes.ts';
import type { LiveSet } from '../../repository/gc/live-set.ts';
import { readMark, type Mark, type WalRange } from '../../repository/gc/marks.ts';
import { readSeen } from '../../repository/gc/seen.ts';
import { storageNow } from '../../repository/gc/storage-clock.ts';
import {
  endedRuns,
  endRun,
  forgetRun,
  isLocked,
  sweepPacks,
  type SweepContext,
} from '../../repository/gc/sweep.ts';
import { Turn } from '../../repository/gc/turn.ts';
import type { IndexCache } from '../../repository/index-cache.ts';
import type { Repository } from '../../repository/repository.ts';
import { tidyParts } from '../wal/tidy-parts.ts';
import { isMarked, rangesOf, unneededWal, type KeptWal } from '../wal/unneeded.ts';
import { emptyTrash } from './empty-trash.ts';
import { MarkWriter } from './mark-writer.ts';
import { addAllNeeded, announcedPacks } from './needed.ts';
import type { HeldTurn, PruneOptions } from './options.ts';
import type { PruneReport, Waiting } from './report.ts';
import { isDue, readRuns, waitingOf, type Run } from './runs.ts';
import { packsToTakeApart, sumOf, takeApart } from './take-apart.ts';

/** A prune that has said nothing for so long counts as gone. */
const turnLastsMs = 3_600_000;
/** Pieces of WAL that are removed between two looks whose turn it is. */
const betweenLooks = 256;

/**
 * Gives space back, in two steps that lie a time of grace apart: what no backup needs is marked, and what was marked a
 * grace ago and is still not needed by anything is removed. Backups may run meanwhile, without any lock; prunes go one at
 * a time. Aborts on any doubt, before anything is removed: `prune_busy`, `prune_backups_missing`, `prune_incomplete`,
 * `prune_unreadable`, `prune_clock`, `prune_turn_lost`.
 */
export async function prune(repository: Repository, options: PruneOptions): Promise<PruneReport> {
  repository.assertMay('read', 'write', 'delete');
  const { clock, host, pid, isAlive, signal, graceMs } = options;
  if (options.dryRun) return await new Prune(repository, options, noTurn).run();
  const lastsMs = Math.min(turnLastsMs, graceMs);
  const { storage, pipelineKeys: keys } = repository;
  await using turn = await Turn.take({ storage, keys, clock, host, pid, isAlive, lastsMs, signal });
  return await new Prune(repository, options, turn).run();
}

/** Whoever only looks takes no turn. */
const noTurn: HeldTurn = { assertHeld: async () => {}, stay: async () => {} };

class Prune {
  readonly #repository: Repository;
  readonly #options: PruneOptions;
  readonly #turn: HeldTurn;
  readonly #removed = { packs: 0, bytes: 0, locked: 0 };
  readonly #waiting: Waiting[] = [];
  readonly #walRemoved = { objects: 0, bytes: 0, locked: 0 };
  readonly #walMarked = { objects: 0, bytes: 0 };
  #keptWal: KeptWal = new Map();
  #nowMs = 0;

  constructor(repository: Repository, options: PruneOptions, turn: HeldTurn) {
    this.#repository = repository;
    this.#options = options;
    this.#turn = turn;
  }

  async run(): Promise<PruneReport> {
    const { signal, progress, dryRun, clock, graceMs, log } = this.#options;
    const { storage } = this.#repository;
    this.#nowMs = dryRun ? clock.now() : await storageNow(storage, signal);
    progress.phase('reading what is marked');
    const cache = await this.#repository.cache(signal);
    cache.beginSession();
    const ended = await endedRuns(storage, signal);
    const runs = await readRuns(this.#repository, cache, ended, signal);
    const longestMs = Math.max(graceMs, ...runs.map((run) => run.graceMs));
    const isOld = (storedAtMs: number): boolean => this.#nowMs - storedAtMs > longestMs;
    const announced = await announcedPacks(this.#repository, isOld, this.#options);
    progress.phase('finding out what the backups need');
    const live = cache.liveSet();
    const backups = await addAllNeeded(this.#repository, live, runs, this.#options, this.#turn);
    const before = live.totals();
    this.#keptWal = (await this.#options.keptWal?.()) ?? new Map();
    const assertHeld = (): Promise<void> => this.#turn.assertHeld();
    const stay = (): Promise<void> => this.#turn.stay();
    const context = { repository: this.#repository, live, announced, assertHeld, stay, log, signal };
    await this.#sweep(context, runs, ended);
    const marked = await this.#mark(cache, live, announced, backups, runs);
    if (!dryRun) {
      await indexAgentPacks(this.#repository, signal);
      progress.phase('putting parts of WAL together');
      await tidyParts(this.#repository, this.#nowMs, this.#options);
    }
    if (!dryRun) await emptyTrash(storage, this.#nowMs, longestMs, signal);
    const indexes = this.#removed.packs > 0 && !dryRun ? await this.#compact() : 0;
    return {
      dry_run: dryRun,
      before: { packs: before.packs, bytes: before.bytes },
      unused_bytes: before.unusedBytes,
      removed: { packs: this.#removed.packs, bytes: this.#removed.bytes },
      ...marked,
      waiting: this.#waiting,
      wal_removed: { objects: this.#walRemoved.objects, bytes: this.#walRemoved.bytes },
      wal_marked: this.#walMarked,
      locked_objects: this.#removed.locked + this.#walRemoved.locked,
      indexes_removed: indexes,
      backups: backups.length,
    };
  }

  /** Removes what was marked a grace ago; lets go of the marks of runs that ended long ago. */
  async #sweep(
    context: SweepContext,
    runs: readonly Run[],
    ended: ReadonlyMap<string, number>,
  ): Promise<void> {
    const { signal, progress, dryRun, graceMs } = this.#options;
    const due = runs.filter((run) => this.#isDue(run));
    for (const run of runs) if (!due.includes(run)) this.#waiting.push(waitingOf(run));
    if (due.length > 0) {
      progress.phase('looking at what stays in the place of what goes');
      await settleHomes(context, () => this.#packsOf(due, context.announced));
      progress.phase('removing what was marked before');
    }
    for (const run of due) await this.#sweepRun(context, run);
    if (dryRun) return;
    for (const [run, endedAtMs] of ended)
      if (this.#nowMs - endedAtMs > graceMs / 4) await forgetRun(this.#repository.storage, run, signal);
  }

  /** What the marks of these runs name, mark by mark. */
  async *#packsOf(runs: readonly Run[], announced: ReadonlySet<string>): AsyncGenerator<readonly string[]> {
    const { storage, pipelineKeys } = this.#repository;
    for (const listed of runs.flatMap(({ marks }) => marks)) {
      const mark = await readMark(storage, pipelineKeys, listed, this.#options.signal);
      if (mark !== undefined) yield mark.contents.packs.filter((id) => !announced.has(id));
    }
  }

  async #sweepRun(context: SweepContext, run: Run): Promise<void> {
    const { signal, dryRun } = this.#options;
    const { storage, pipelineKeys } = this.#repository;
    const isKnown = (await readSeen(this.#repository, run.id, signal)) !== undefined;
    const lockedBefore = this.#removed.locked + this.#walRemoved.locked;
    for (const listed of run.marks) {
      const mark = await readMark(storage, pipelineKeys, listed, signal);
      // Whose run nobody knows what it saw is marked anew by a later one.
      if (mark === undefined || !isKnown) continue;
      if (dryRun) this.#wouldRemove(context, mark);
      else await sweepPacks(context, mark, this.#removed);
      if (mark.contents.wal.length > 0) await this.#sweepWal(mark.contents.wal);
    }
    // What is locked still is marked, and a later prune tries again.
    const isDone = this.#removed.locked + this.#walRemoved.locked === lockedBefore;
    if (!dryRun && isDone) await endRun(context, run.id);
  }

  #wouldRemove({ live, announced }: SweepContext, mark: Mark): void {
    for (const id of mark.contents.packs) {
      const bytes = announced.has(id) ? undefined : live.deadBytes(id);
      if (bytes === undefined) continue;
      this.#removed.packs += 1;
      this.#removed.bytes += bytes;
    }
  }

  /** Removes WAL that was marked and is still needed by nothing. */
  async #sweepWal(ranges: readonly WalRange[]): Promise<void> {
    const { signal, dryRun } = this.#options;
    for await (const { archive, stretch } of unneededWal(this.#repository, this.#keptWal, signal)) {
      if (!isMarked(archive, stretch, ranges)) continue;
      if (!dryRun) {
        if (this.#walRemoved.objects % betweenLooks === 0) await this.#turn.assertHeld();
        if (await isLocked(this.#repository.storage.delete(stretch.objectName, { signal }))) {
          this.#walRemoved.locked += 1;
          continue;
        }
      }
      this.#walRemoved.objects += 1;
      this.#walRemoved.bytes += stretch.storedBytes;
    }
  }

  /** Stores anew what is needed of packs that hold little of it, and marks what is not needed. */
  async #mark(
    cache: IndexCache,
    live: LiveSet,
    announced: ReadonlySet<string>,
    backups: readonly string[],
    runs: readonly Run[],
  ): Promise<Pick<PruneReport, 'marked' | 'repacked'>> {
    const { progress, dryRun, graceMs, maxUnused } = this.#options;
    // What was stored lately is most likely that of a backup which is running.
    const settledMs = this.#nowMs - graceMs / 3;
    const apart = packsToTakeApart(live, settledMs, maxUnused);
    const bytesStored = dryRun
      ? 0
      : await takeApart(this.#repository, cache, live, apart, this.#nowMs, this.#options, this.#turn);
    progress.phase('marking what is not needed');
    const marks = new MarkWriter(this.#repository, this.#options, backups);
    for (const pack of live.dead(settledMs)) if (!announced.has(pack.id)) await marks.add(pack);
    for (const pack of apart.values()) await marks.add(pack);
    await marks.end(await rangesOf(this.#unmarkedWal(runs), this.#walMarked));
    return { marked: marks.count, repacked: { ...sumOf(apart.values()), bytes_stored: bytesStored } };
  }

  /** WAL that nothing needs and that no run has marked which waits. */
  async *#unmarkedWal(runs: readonly Run[]): ReturnType<typeof unneededWal> {
    const marked = runs.filter((run) => !this.#isDue(run)).flatMap(({ wal }) => wal);
    for await (const one of unneededWal(this.#repository, this.#keptWal, this.#options.signal))
      if (!isMarked(one.archive, one.stretch, marked)) yield one;
  }

  #isDue(run: Run): boolean {
    return isDue(run, this.#nowMs, this.#options.clock);
  }

  async #compact(): Promise<number> {
    const { signal, progress } = this.#options;
    progress.phase('tidying the indexes');
    await this.#repository.freshCache(0, signal);
    return await compactIndexes(this.#repository, () => this.#turn.assertHeld(), signal);
  }
}
