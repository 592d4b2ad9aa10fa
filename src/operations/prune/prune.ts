import { indexAgentPacks } from '../../repository/gc/agent-copies.ts';
import { compactIndexes } from '../../repository/gc/compact-index.ts';
import { settleHomes } from '../../repository/gc/homes.ts';
import { readMark, type Mark } from '../../repository/gc/marks.ts';
import { readSeen } from '../../repository/gc/seen.ts';
import { earlierOf, storageNow } from '../../repository/gc/storage-clock.ts';
import { endedRuns, endRun, forgetRun, sweepPacks, type SweepContext } from '../../repository/gc/sweep.ts';
import { Turn } from '../../repository/gc/turn.ts';
import type { IndexCache } from '../../repository/index-cache.ts';
import type { Repository } from '../../repository/repository.ts';
import { tidyParts } from '../wal/tidy-parts.ts';
import { lookAtTrash, type Trash } from './empty-trash.ts';
import { MarkWriter } from './mark-writer.ts';
import { addAllNeeded, announcedPacks } from './needed.ts';
import type { HeldTurn, PruneOptions } from './options.ts';
import type { PruneReport } from './report.ts';
import { isDue, readRuns, waitingOf, type Run } from './runs.ts';
import { WalSweep } from './sweep-wal.ts';
import { packsToTakeApart, sumOf, takeApart } from './take-apart.ts';

/** A prune that has said nothing for so long counts as gone. */
const turnLastsMs = 3_600_000;

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
    const question = { nowMs: earlierOf(this.#nowMs, clock.now()), backups };
    const wal = await WalSweep.begin(this.#repository, this.#options, this.#turn, question);
    const assertHeld = (): Promise<void> => this.#turn.assertHeld();
    const stay = (): Promise<void> => this.#turn.stay();
    const context = { repository: this.#repository, live, announced, assertHeld, stay, log, signal };
    const due = runs.filter((run) => this.#isDue(run));
    const waiting = runs.filter((run) => !due.includes(run));
    const isVeryOld = (storedAtMs: number): boolean => this.#nowMs - storedAtMs > 2 * longestMs;
    // Looked at while the marks are there that it is judged by.
    const trash = await lookAtTrash(this.#repository, { due, waiting }, isVeryOld, signal);
    await this.#sweep(context, wal, due, ended);
    const marked = await this.#mark(cache, context, wal, { backups, waiting, trash });
    if (!dryRun) {
      await indexAgentPacks(this.#repository, signal);
      progress.phase('putting parts of WAL together');
      await tidyParts(this.#repository, this.#nowMs, this.#options);
    }
    const emptied = await this.#emptyTrash(trash);
    const indexes = this.#removed.packs > 0 && !dryRun ? await this.#compact() : 0;
    return {
      dry_run: dryRun,
      before: { packs: before.packs, bytes: before.bytes },
      unused_bytes: before.unusedBytes,
      removed: { packs: this.#removed.packs, bytes: this.#removed.bytes },
      ...marked,
      waiting: waiting.filter(({ packs, wal }) => packs > 0 || wal.length > 0).map(waitingOf),
      wal_removed: { objects: wal.removed.objects, bytes: wal.removed.bytes },
      wal_marked: wal.marked,
      locked_objects: this.#removed.locked + wal.removed.locked,
      emptied_trash: emptied,
      indexes_removed: indexes,
      backups: backups.length,
    };
  }

  /** Removes what was marked a grace ago; lets go of the marks of runs that ended long ago. */
  async #sweep(
    context: SweepContext,
    wal: WalSweep,
    due: readonly Run[],
    ended: ReadonlyMap<string, number>,
  ): Promise<void> {
    const { signal, progress, dryRun, graceMs } = this.#options;
    if (due.length > 0) {
      progress.phase('looking at what stays in the place of what goes');
      await settleHomes(context, () => this.#packsOf(due, context.announced));
      progress.phase('removing what was marked before');
    }
    for (const run of due) await this.#sweepRun(context, wal, run);
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

  async #sweepRun(context: SweepContext, wal: WalSweep, run: Run): Promise<void> {
    const { signal, dryRun } = this.#options;
    const { storage, pipelineKeys } = this.#repository;
    const isKnown = (await readSeen(this.#repository, run.id, signal)) !== undefined;
    const lockedBefore = this.#removed.locked + wal.removed.locked;
    for (const listed of run.marks) {
      const mark = await readMark(storage, pipelineKeys, listed, signal);
      // Whose run nobody knows what it saw is marked anew by a later one.
      if (mark === undefined || !isKnown) continue;
      if (dryRun) this.#wouldRemove(context, mark);
      else await sweepPacks(context, mark, this.#removed);
      if (mark.contents.wal.length > 0) await wal.remove(mark.contents.wal);
    }
    // What is locked still is marked, and a later prune tries again.
    const isDone = this.#removed.locked + wal.removed.locked === lockedBefore;
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

  /** Which backups cannot be brought back any more, or could not. */
  async #emptyTrash({ over }: Trash): Promise<string[]> {
    const { signal, dryRun, log, progress } = this.#options;
    if (over.length > 0) progress.phase('emptying the trash of what cannot come back');
    for (const { name, backup } of over) {
      if (dryRun) continue;
      log.info('what this forgotten backup needed is gone: its manifest leaves the trash', {
        backup: backup.id,
      });
      await this.#repository.storage.delete(name, { signal });
    }
    return over.map(({ backup }) => backup.id);
  }

  /** Stores anew what is needed of packs that hold little of it, and marks what is not needed. */
  async #mark(
    cache: IndexCache,
    { live, announced }: SweepContext,
    wal: WalSweep,
    known: { readonly backups: readonly string[]; readonly waiting: readonly Run[]; readonly trash: Trash },
  ): Promise<Pick<PruneReport, 'marked' | 'repacked'>> {
    const { progress, dryRun, graceMs, maxUnused } = this.#options;
    // What was stored lately is most likely that of a backup which is running.
    const settledMs = this.#nowMs - graceMs / 3;
    const apart = packsToTakeApart(live, settledMs, maxUnused);
    const bytesStored = dryRun
      ? 0
      : await takeApart(this.#repository, cache, live, apart, this.#nowMs, this.#options, this.#turn);
    progress.phase('marking what is not needed');
    const marks = new MarkWriter(this.#repository, this.#options, known.backups);
    for (const pack of live.dead(settledMs)) if (!announced.has(pack.id)) await marks.add(pack);
    for (const pack of apart.values()) await marks.add(pack);
    const walRanges = await wal.toMark(known.waiting.flatMap((run) => run.wal));
    await marks.end(walRanges, known.trash.isUnmarked);
    return { marked: marks.count, repacked: { ...sumOf(apart.values()), bytes_stored: bytesStored } };
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
