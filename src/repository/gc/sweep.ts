import { isFailure } from '../../kernel/errors/failure.ts';
import type { Logger } from '../../kernel/log.ts';
import type { Storage } from '../../storage/port.ts';
import { packObject, seenPrefix, sweptPrefix } from '../layout.ts';
import type { Repository } from '../repository.ts';
import { putRecord } from '../records.ts';
import type { LiveSet } from './live-set.ts';
import { listMarks, type Mark } from './marks.ts';

/** Removals under way at once, and between two looks whose turn it is. */
const atOnce = 16;
const betweenLooks = 256;

export interface SweepContext {
  readonly repository: Repository;
  readonly live: LiveSet;
  /** Packs that running sessions have announced. */
  readonly announced: ReadonlySet<string>;
  /** Rejects when another prune has begun. */
  readonly assertHeld: () => Promise<void>;
  /** To be called often during long work; rejects as that does. */
  readonly stay: () => Promise<void>;
  readonly log: Logger;
  readonly signal: AbortSignal;
}

export interface Removed {
  packs: number;
  bytes: number;
  /** Packs that nobody needs and that the storage keeps locked: they go when their locks have run out. */
  locked: number;
}

/** Removes the packs of a mark that are still not needed by anybody. */
export async function sweepPacks(context: SweepContext, mark: Mark, removed: Removed): Promise<void> {
  const { repository, live, announced, assertHeld, signal } = context;
  let batch: { id: string; sizeBytes: number }[] = [];
  const flush = async (): Promise<void> => {
    await assertHeld();
    await inLanes(batch, async ({ id, sizeBytes }) => {
      signal.throwIfAborted();
      if (await isLocked(repository.storage.delete(packObject(id), { signal }))) {
        removed.locked += 1;
        return;
      }
      removed.packs += 1;
      removed.bytes += sizeBytes;
    });
    batch = [];
  };
  for (const id of mark.contents.packs) {
    const sizeBytes = live.deadBytes(id);
    if (sizeBytes === undefined || announced.has(id)) continue;
    batch.push({ id, sizeBytes });
    if (batch.length === betweenLooks) await flush();
  }
  if (batch.length > 0) await flush();
}

/** Notes that all that a run had marked is removed or kept. Its marks stay for a while, for listings that lag behind. */
export async function endRun({ repository, signal }: SweepContext, run: string): Promise<void> {
  const { storage, pipelineKeys } = repository;
  await putRecord(storage, pipelineKeys, `${sweptPrefix}${run}`, { schema: 1 }, { signal });
}

/** Runs that were ended, and when, by the storage's clock. */
export async function endedRuns(storage: Storage, signal: AbortSignal): Promise<Map<string, number>> {
  const ended = new Map<string, number>();
  for await (const { name, modifiedAtMs } of storage.list(sweptPrefix, { signal }))
    ended.set(name.slice(sweptPrefix.length), modifiedAtMs);
  return ended;
}

/** Removes the marks of a run that ended long ago, its notes last. */
export async function forgetRun(storage: Storage, run: string, signal: AbortSignal): Promise<void> {
  for await (const mark of listMarks(storage, signal))
    if (mark.run === run) await storage.delete(mark.name, { signal });
  await storage.delete(`${seenPrefix}${run}`, { signal });
  await storage.delete(`${sweptPrefix}${run}`, { signal });
}

/** Whether a removal is refused because the storage keeps the object locked. */
export async function isLocked(removal: Promise<void>): Promise<boolean> {
  try {
    await removal;
    return false;
  } catch (error) {
    if (isFailure(error, 'storage_locked')) return true;
    throw error;
  }
}

export async function inLanes<T>(
  items: Iterable<T>,
  work: (item: T) => Promise<void>,
  lanes = atOnce,
): Promise<void> {
  const next = items[Symbol.iterator]();
  const lane = async (): Promise<void> => {
    for (let item = next.next(); item.done !== true; item = next.next()) await work(item.value);
  };
  await Promise.all(Array.from({ length: lanes }, lane));
}
