import type { Clock } from '../kernel/clock.ts';
import { failure, isFailure, reasonOf } from '../kernel/errors/failure.ts';
import { defaultCompression, type Compression } from '../pipeline/codec.ts';
import { compactIndexes } from '../repository/gc/compact-index.ts';
import type { LiveSet, PackUse } from '../repository/gc/live-set.ts';
import { listMarks, newRun, packsInMark, putMark, readMark, type Mark } from '../repository/gc/marks.ts';
import { addNeeded } from '../repository/gc/needed.ts';
import { announcements } from '../repository/gc/needs.ts';
import { repack } from '../repository/gc/repack.ts';
import { assertAllThere, putSeen, readSeen } from '../repository/gc/seen.ts';
import { storageNow } from '../repository/gc/storage-clock.ts';
import {
  assertHomesThere,
  endedRuns,
  endRun,
  forgetRun,
  sweepPacks,
  type SweepContext,
} from '../repository/gc/sweep.ts';
import { Turn } from '../repository/gc/turn.ts';
import { forgottenRecords } from '../repository/history/forgotten.ts';
import type { IndexCache } from '../repository/index-cache.ts';
import type { Repository } from '../repository/repository.ts';
import type { OperationContext } from './contract.ts';
import type { PackCount, PruneReport, Waiting } from './prune-report.ts';

/** How long what is marked waits, unless said: any backup that began before is over or has said what it needs. */
export const defaultGraceMs = 72 * 3_600_000;
/** A prune that has said nothing for so long counts as gone. */
const turnLastsMs = 3_600_000;
/** Packs smaller than a 16th of the usual size are joined, once there are so many of them. */
const smallBytes = 1024 * 1024;
const smallPacks = 32;

export interface PruneOptions extends OperationContext {
  readonly clock: Clock;
  readonly host: string;
  readonly pid: number;
  readonly isAlive: (pid: number) => boolean;
  /** Time between marking and removing, by the storage's clock. */
  readonly graceMs: number;
  /** So much of what packs hold beside what is needed may stay, as a share of what is needed. */
  readonly maxUnused: number;
  readonly dryRun: boolean;
  readonly compression?: Compression | undefined;
}

/** A run of marks that is there. */
interface Run {
  readonly id: string;
  readonly marks: Omit<Mark, 'contents'>[];
  /** Of its youngest mark, by the storage's clock. */
  storedAtMs: number;
  graceMs: number;
  /** By the clock of the machine that marked. */
  markedAtMs: number;
  packs: number;
  bytes: number;
}

/**
 * Gives space back, in two steps that lie a time of grace apart: what no backup needs is marked, and what was marked a
 * grace ago and is still not needed by anything is removed. Backups may run meanwhile, without any lock; prunes go one at
 * a time. Aborts on any doubt, before anything is removed: `prune_busy`, `prune_backups_missing`, `prune_incomplete`,
 * `prune_unreadable`, `prune_clock`, `prune_turn_lost`.
 */
export async function prune(repository: Repository, options: PruneOptions): Promise<PruneReport> {
  repository.assertMay('read', 'write', 'delete');
  const { clock, host, pid, isAlive, signal, graceMs } = options;
  if (options.dryRun) return await new Prune(repository, options, async () => {}).run();
  const lastsMs = Math.min(turnLastsMs, graceMs);
  const { storage, pipelineKeys: keys } = repository;
  await using turn = await Turn.take({ storage, keys, clock, host, pid, isAlive, lastsMs, signal });
  return await new Prune(repository, options, () => turn.assertHeld()).run();
}

class Prune {
  readonly #repository: Repository;
  readonly #options: PruneOptions;
  readonly #assertHeld: () => Promise<void>;
  readonly #removed = { packs: 0, bytes: 0 };
  readonly #waiting: Waiting[] = [];
  #nowMs = 0;

  constructor(repository: Repository, options: PruneOptions, assertHeld: () => Promise<void>) {
    this.#repository = repository;
    this.#options = options;
    this.#assertHeld = assertHeld;
  }

  async run(): Promise<PruneReport> {
    const { signal, progress, dryRun, clock } = this.#options;
    const { storage } = this.#repository;
    this.#nowMs = dryRun ? clock.now() : await storageNow(storage, signal);
    progress.phase('reading what is marked');
    const cache = await this.#repository.freshCache(0, signal);
    cache.beginSession();
    const ended = await endedRuns(storage, signal);
    const runs = await this.#readRuns(cache, ended);
    // Before the backups are listed: whoever announced and has finished since is among those then.
    const announced = await this.#announced(runs);
    progress.phase('finding out what the backups need');
    const live = cache.liveSet();
    const backups = await this.#needed(live, runs);
    const before = live.totals();
    const context = { repository: this.#repository, live, announced, assertHeld: this.#assertHeld, signal };
    await this.#sweep(context, runs, ended);
    const { marked, repacked } = await this.#mark(cache, live, announced, backups);
    const indexes = this.#removed.packs > 0 && !dryRun ? await this.#compact() : 0;
    return {
      dry_run: dryRun,
      before: { packs: before.packs, bytes: before.bytes },
      unused_bytes: before.unusedBytes,
      removed: this.#removed,
      marked,
      repacked,
      waiting: this.#waiting,
      wal_removed: { objects: 0, bytes: 0 },
      indexes_removed: indexes,
      backups: backups.length,
    };
  }

  /** Every mark counts as such from now on, also those of runs that were ended: a listing may lag behind. */
  async #readRuns(cache: IndexCache, ended: ReadonlyMap<string, number>): Promise<Run[]> {
    const { signal } = this.#options;
    const { storage, pipelineKeys } = this.#repository;
    const runs = new Map<string, Run>();
    for await (const listed of listMarks(storage, signal)) {
      const mark = await readMark(storage, pipelineKeys, listed, signal);
      if (mark === undefined) continue;
      const { packs, grace_ms: graceMs, marked_at_ms: markedAtMs } = mark.contents;
      cache.doom(packs, mark.storedAtMs, graceMs);
      if (ended.has(mark.run)) continue;
      const run = runs.get(mark.run) ?? newRunOf(mark);
      run.marks.push(listed);
      run.storedAtMs = Math.max(run.storedAtMs, mark.storedAtMs);
      run.graceMs = Math.max(run.graceMs, graceMs);
      run.markedAtMs = Math.max(run.markedAtMs, markedAtMs);
      run.packs += packs.length;
      for (const id of packs) run.bytes += cache.listedBytes(id) ?? 0;
      runs.set(mark.run, run);
    }
    return [...runs.values()];
  }

  /** Packs that sessions need though they are marked. One that cannot be read stops everything: it might be any of them. */
  async #announced(runs: readonly Run[]): Promise<ReadonlySet<string>> {
    const { signal, graceMs } = this.#options;
    const { storage, pipelineKeys } = this.#repository;
    const lastsMs = Math.max(graceMs, ...runs.map((run) => run.graceMs));
    const announced = new Set<string>();
    for await (const { name, storedAtMs, packs } of announcements(storage, pipelineKeys, signal)) {
      if (this.#nowMs - storedAtMs > lastsMs) {
        if (!this.#options.dryRun) await storage.delete(name, { signal });
      } else if (packs === null) {
        throw failure('prune_unreadable', { what: 'a running backup', reason: `${name} is damaged` });
      } else {
        for (const id of packs) announced.add(id);
      }
    }
    return announced;
  }

  /** Adds everything that any backup needs; resolves with the ids of all backups. */
  async #needed(live: LiveSet, runs: readonly Run[]): Promise<readonly string[]> {
    const { signal, progress } = this.#options;
    const names = await this.#repository.names({ signal });
    const there = new Set<string>(names.map(({ id }) => id));
    const forgotten = await forgottenIds(this.#repository, signal);
    for (const run of runs) {
      const seen = await readSeen(this.#repository, run.id, signal);
      if (seen !== undefined) assertAllThere(seen, there, forgotten);
    }
    const vanished: string[] = [];
    for (const name of names) {
      progress.phase(`finding out what backup ${name.id.slice(0, 8)} needs`);
      const manifest = await this.#repository.manifest(name, { signal }).catch((error: unknown) => {
        if (isFailure(error, 'backup_unknown')) return undefined;
        if (!isFailure(error, 'object_damaged')) throw error;
        const what = `backup ${name.id}`;
        throw failure('prune_unreadable', { what, reason: reasonOf(error) }, { cause: error });
      });
      if (manifest === undefined) {
        vanished.push(name.id);
        continue;
      }
      assertAllThere(
        manifest.previous.map(({ id }) => id),
        there,
        forgotten,
      );
      await addNeeded(this.#repository, manifest, live, signal);
    }
    // Forgotten since they were listed, or by a listing that lags behind.
    if (vanished.length > 0)
      assertAllThere(vanished, new Set(), await forgottenIds(this.#repository, signal));
    const { homeless, example } = await live.settle();
    if (homeless > 0)
      throw failure('prune_incomplete', { count: homeless, example: (example ?? '').slice(0, 16) });
    return names.map(({ id }) => id);
  }

  /** Removes what was marked a grace ago; lets go of the marks of runs that ended long ago. */
  async #sweep(
    context: SweepContext,
    runs: readonly Run[],
    ended: ReadonlyMap<string, number>,
  ): Promise<void> {
    const { signal, progress, dryRun } = this.#options;
    const due = runs.filter((run) => this.#isDue(run));
    for (const run of runs) if (!due.includes(run)) this.#waiting.push(waitingOf(run));
    if (due.length > 0) {
      progress.phase('removing what was marked before');
      await assertHomesThere(context);
    }
    for (const run of due) await this.#sweepRun(context, run);
    if (dryRun) return;
    const lagMs = this.#options.graceMs / 4;
    for (const [run, endedAtMs] of ended)
      if (this.#nowMs - endedAtMs > lagMs) await forgetRun(this.#repository.storage, run, signal);
  }

  async #sweepRun(context: SweepContext, run: Run): Promise<void> {
    const { signal, dryRun } = this.#options;
    const { storage, pipelineKeys } = this.#repository;
    const isKnown = (await readSeen(this.#repository, run.id, signal)) !== undefined;
    for (const listed of run.marks) {
      const mark = await readMark(storage, pipelineKeys, listed, signal);
      // Whose run nobody knows what it saw is marked anew by a later one.
      if (mark === undefined || !isKnown) continue;
      if (dryRun) this.#wouldRemove(context, mark);
      else await sweepPacks(context, mark, this.#removed);
    }
    if (!dryRun) await endRun(context, run.id);
  }

  #wouldRemove({ live, announced }: SweepContext, mark: Mark): void {
    for (const id of mark.contents.packs) {
      const bytes = announced.has(id) ? undefined : live.deadBytes(id);
      if (bytes === undefined) continue;
      this.#removed.packs += 1;
      this.#removed.bytes += bytes;
    }
  }

  /** By the storage's clock; and by that of this machine it must be true to a third of the grace. */
  #isDue(run: Run): boolean {
    const { clock } = this.#options;
    const ageMs = this.#nowMs - run.storedAtMs;
    const hereMs = clock.now() - run.markedAtMs;
    if (ageMs < run.graceMs) return false;
    if (hereMs >= (run.graceMs * 2) / 3) return true;
    const hours = (ms: number): string => `${(ms / 3_600_000).toFixed(1)} hours`;
    const reason = `what was marked ${hours(ageMs)} ago by the storage was marked ${hours(hereMs)} ago by this machine`;
    throw failure('prune_clock', { reason });
  }

  /** Stores anew what is needed of packs that hold little of it, and marks what is not needed. */
  async #mark(
    cache: IndexCache,
    live: LiveSet,
    announced: ReadonlySet<string>,
    backups: readonly string[],
  ): Promise<Pick<PruneReport, 'marked' | 'repacked'>> {
    const { signal, progress, dryRun, graceMs, host, clock } = this.#options;
    const settledMs = this.#nowMs - graceMs / 3;
    const victims = this.#victims(live, settledMs);
    const bytesStored = dryRun ? 0 : await this.#repack(cache, live, victims);
    progress.phase('marking what is not needed');
    const marks = new MarkWriter(this.#repository, newRun(clock.now()), graceMs, host, clock, dryRun, signal);
    await marks.begin(backups);
    for (const pack of live.dead(settledMs)) if (!announced.has(pack.id)) await marks.add(pack);
    for (const pack of victims.values()) await marks.add(pack);
    await marks.end();
    return { marked: marks.count, repacked: { ...sumOf(victims.values()), bytes_stored: bytesStored } };
  }

  /** Packs to take apart: those with the most waste, until what is left of it is little enough; and many small ones. */
  #victims(live: LiveSet, settledMs: number): Map<string, PackUse> {
    const { bytes, deadBytes, unusedBytes } = live.totals();
    const neededBytes = bytes - deadBytes - unusedBytes;
    let wasteBytes = unusedBytes;
    const victims = new Map<string, PackUse>();
    const small: PackUse[] = [];
    for (const pack of live.sparse(0.05, smallBytes, settledMs)) {
      const wasted = pack.sizeBytes - pack.liveBytes;
      if (pack.sizeBytes < smallBytes) small.push(pack);
      else if (wasteBytes > neededBytes * this.#options.maxUnused) {
        victims.set(pack.id, pack);
        wasteBytes -= wasted;
      }
    }
    if (small.length >= smallPacks) for (const pack of small) victims.set(pack.id, pack);
    return victims;
  }

  /** Stores anew; packs that cannot be taken apart are taken from the victims. Resolves with the bytes stored. */
  async #repack(cache: IndexCache, live: LiveSet, victims: Map<string, PackUse>): Promise<number> {
    if (victims.size === 0) return 0;
    const { signal, progress, jobs, graceMs, compression = defaultCompression, log } = this.#options;
    progress.phase('taking packs apart that hold little that is needed');
    progress.total(sumOf(victims.values()).bytes);
    await using session = await this.#repository.beginSession({ signal, jobs, compression });
    cache.doom([...victims.keys()], this.#nowMs, graceMs);
    const next = [...victims.keys()].values();
    const lane = async (): Promise<void> => {
      for (const id of next) {
        signal.throwIfAborted();
        const isDone = await repack(session, this.#repository.storage, live, id, signal);
        progress.advance(victims.get(id)?.sizeBytes ?? 0);
        if (isDone) continue;
        log.warn('a pack that is damaged is not taken apart', { pack: id });
        victims.delete(id);
      }
    };
    await Promise.all(Array.from({ length: jobs }, lane));
    const { bytesAdded } = await session.settle();
    return bytesAdded;
  }

  async #compact(): Promise<number> {
    const { signal, progress } = this.#options;
    progress.phase('tidying the indexes');
    await this.#repository.freshCache(0, signal);
    return await compactIndexes(this.#repository, this.#assertHeld, signal);
  }
}

/** Writes the marks of a run, some thousand packs each. Nothing is written for nothing. */
class MarkWriter {
  count: PackCount = { packs: 0, bytes: 0 };
  readonly #repository: Repository;
  readonly #run: string;
  readonly #graceMs: number;
  readonly #host: string;
  readonly #clock: Clock;
  readonly #dryRun: boolean;
  readonly #signal: AbortSignal;
  #backups: readonly string[] | undefined;
  #packs: string[] = [];
  #number = 0;

  constructor(
    repository: Repository,
    run: string,
    graceMs: number,
    host: string,
    clock: Clock,
    dryRun: boolean,
    signal: AbortSignal,
  ) {
    this.#repository = repository;
    this.#run = run;
    this.#graceMs = graceMs;
    this.#host = host;
    this.#clock = clock;
    this.#dryRun = dryRun;
    this.#signal = signal;
  }

  async begin(backups: readonly string[]): Promise<void> {
    this.#backups = backups;
  }

  async add({ id, sizeBytes }: PackUse): Promise<void> {
    this.count = { packs: this.count.packs + 1, bytes: this.count.bytes + sizeBytes };
    this.#packs.push(id);
    if (this.#packs.length === packsInMark) await this.end();
  }

  async end(): Promise<void> {
    const packs = this.#packs;
    this.#packs = [];
    if (packs.length === 0 || this.#dryRun) return;
    const { storage, pipelineKeys } = this.#repository;
    // What it saw comes first: a run without it removes nothing.
    if (this.#backups !== undefined) await putSeen(this.#repository, this.#run, this.#backups, this.#signal);
    this.#backups = undefined;
    const contents = {
      schema: 1 as const,
      marked_at_ms: this.#clock.now(),
      grace_ms: this.#graceMs,
      host: this.#host,
      packs,
      wal: [],
    };
    await putMark(storage, pipelineKeys, this.#run, this.#number, contents, this.#signal);
    this.#number += 1;
  }
}

/** Ids of all backups that were forgotten and not taken back. A record that is damaged explains nothing. */
async function forgottenIds(repository: Repository, signal: AbortSignal): Promise<ReadonlySet<string>> {
  const ids = new Set<string>();
  for await (const read of forgottenRecords(repository, signal))
    if ('record' in read) for (const { id } of read.record.backups) ids.add(id);
  return ids;
}

function newRunOf(mark: Mark): Run {
  return { id: mark.run, marks: [], storedAtMs: 0, graceMs: 0, markedAtMs: 0, packs: 0, bytes: 0 };
}

function waitingOf({ storedAtMs, graceMs, packs, bytes }: Run): Waiting {
  return {
    packs,
    bytes,
    marked_at: new Date(storedAtMs).toISOString(),
    removable_at: new Date(storedAtMs + graceMs).toISOString(),
  };
}

function sumOf(packs: Iterable<PackUse>): PackCount {
  const sum = { packs: 0, bytes: 0 };
  for (const { sizeBytes } of packs) {
    sum.packs += 1;
    sum.bytes += sizeBytes;
  }
  return sum;
}
