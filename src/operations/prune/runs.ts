import type { Clock } from '../../kernel/clock.ts';
import { failure } from '../../kernel/errors/failure.ts';
import { listMarks, readMark, type Mark, type WalRange } from '../../repository/gc/marks.ts';
import type { IndexCache } from '../../repository/index-cache.ts';
import type { Repository } from '../../repository/repository.ts';
import type { Waiting } from './report.ts';

/** What one prune has marked. */
export interface Run {
  readonly id: string;
  readonly marks: Omit<Mark, 'contents'>[];
  /** Of its youngest mark, by the storage's clock. */
  storedAtMs: number;
  graceMs: number;
  /** By the clock of the machine that marked. */
  markedAtMs: number;
  packs: number;
  bytes: number;
  readonly wal: WalRange[];
}

/**
 * Reads all marks. Every one counts as such from now on, also those of runs that have ended: a listing may lag behind.
 * The runs answered are those that have not.
 */
export async function readRuns(
  { storage, pipelineKeys }: Repository,
  cache: IndexCache,
  ended: ReadonlyMap<string, number>,
  signal: AbortSignal,
): Promise<Run[]> {
  const runs = new Map<string, Run>();
  for await (const listed of listMarks(storage, signal)) {
    const mark = await readMark(storage, pipelineKeys, listed, signal);
    if (mark === undefined) continue;
    const { packs, wal, grace_ms: graceMs, marked_at_ms: markedAtMs } = mark.contents;
    cache.doom(packs, mark.storedAtMs, graceMs);
    if (ended.has(mark.run)) continue;
    const run = runs.get(mark.run) ?? newRun(mark.run);
    run.marks.push(listed);
    run.storedAtMs = Math.max(run.storedAtMs, mark.storedAtMs);
    run.graceMs = Math.max(run.graceMs, graceMs);
    run.markedAtMs = Math.max(run.markedAtMs, markedAtMs);
    run.packs += packs.length;
    run.wal.push(...wal);
    for (const id of packs) run.bytes += cache.listedBytes(id) ?? 0;
    runs.set(mark.run, run);
  }
  return [...runs.values()];
}

/**
 * Whether the grace of a run has passed by the storage's clock. By that of this machine it must be true to a third of the
 * grace, or one of the two was set: `prune_clock`.
 */
export function isDue(run: Run, nowMs: number, clock: Pick<Clock, 'now'>): boolean {
  const ageMs = nowMs - run.storedAtMs;
  const hereMs = clock.now() - run.markedAtMs;
  if (ageMs < run.graceMs) return false;
  if (hereMs >= (run.graceMs * 2) / 3) return true;
  const hours = (ms: number): string => `${(ms / 3_600_000).toFixed(1)} hours`;
  const reason = `what was marked ${hours(ageMs)} ago by the storage was marked ${hours(hereMs)} ago by this machine`;
  throw failure('prune_clock', { reason });
}

export function waitingOf({ storedAtMs, graceMs, packs, bytes }: Run): Waiting {
  return {
    packs,
    bytes,
    marked_at: new Date(storedAtMs).toISOString(),
    removable_at: new Date(storedAtMs + graceMs).toISOString(),
  };
}

function newRun(id: string): Run {
  return { id, marks: [], storedAtMs: 0, graceMs: 0, markedAtMs: 0, packs: 0, bytes: 0, wal: [] };
}
