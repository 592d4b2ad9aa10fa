import { randomBytes } from 'node:crypto';
import { z } from 'zod';
import { isFailure } from '../kernel/errors/failure.ts';
import { listMarks, readMark, type WalRange } from '../repository/gc/marks.ts';
import { storageNow } from '../repository/gc/storage-clock.ts';
import {
  configObject,
  keysPrefix,
  lockedPrefix,
  packObject,
  packsPrefix,
  parseWalObject,
  snapshotsPrefix,
  walPrefix,
} from '../repository/layout.ts';
import { putRecord, readRecord } from '../repository/records.ts';
import type { Repository } from '../repository/repository.ts';
import type { ObjectInfo, Retain } from '../storage/port.ts';
import type { OperationContext } from './contract.ts';
import { isMarked } from './wal/unneeded.ts';

/**
 * Everything that backups are made of. Indexes can be made anew, what is in the trash shall run out, and records of what was
 * forgotten or pinned have to go when that is undone.
 */
const kept = [configObject, keysPrefix, snapshotsPrefix, packsPrefix, walPrefix];
/** Parts of WAL go when their unit is whole. */
const isPart = (name: string): boolean => parseWalObject(name)?.partBytes !== undefined;
const atOnce = 16;
/** What was stored about when the last record was may not have been listed then. */
const lagMs = 3_600_000;

const lockRecordSchema = z.strictObject({
  schema: z.literal(1),
  /** By the storage's clock: all that was there then is locked, but for what was skipped … */
  at_ms: z.number().int(),
  /** … until then at least. */
  until_ms: z.number().int(),
  period_ms: z.number().int().positive(),
  /** Names of objects that were marked for removal. */
  skipped: z.array(z.string()),
});

type LockRecord = z.infer<typeof lockRecordSchema>;

export interface LockOptions extends Pick<OperationContext, 'signal' | 'progress'> {
  /** How long a lock shall last; it is renewed when less than half of it is left. */
  readonly periodMs: number;
}

export interface LockReport {
  /** Objects whose lock was looked at, and made longer where it was shorter. */
  readonly objects: number;
  /** Whether that was everything, or what is new since the last time. */
  readonly all: boolean;
  /** All that is kept is locked until then at least. */
  readonly until: string;
}

/**
 * Sees to it that everything which is kept stays locked: all of it when less than half of the period is left, else what is
 * new. What is marked for removal is left to run out. Null where the storage locks nothing. How long a lock lasts no
 * listing tells, and asking for each costs a request: so a record says until when all that was there is locked.
 */
export async function extendLocks(
  repository: Repository,
  { periodMs, signal, progress }: LockOptions,
): Promise<LockReport | null> {
  const { storage, pipelineKeys } = repository;
  const { retain } = storage;
  if (retain === undefined) return null;
  progress.phase('extending locks');
  const nowMs = await storageNow(storage, signal);
  const records = await Array.fromAsync(storage.list(lockedPrefix, { signal }));
  const last = await readLast(repository, records, signal);
  const marked = await markedNames(repository, signal);
  const isFull = last === undefined || last.until_ms - nowMs < periodMs / 2 || last.period_ms < periodMs;
  const untilMs = isFull ? nowMs + periodMs : last.until_ms;
  const before = new Set(isFull ? [] : last.skipped);
  const isDue = ({ name, modifiedAtMs }: ObjectInfo): boolean =>
    !marked.has(name) && !isPart(name) && (isFull || modifiedAtMs > last.at_ms - lagMs || before.has(name));
  const objects = await retainAll(repository, retain, isDue, untilMs, signal);
  if (isFull || objects > 0) {
    const record: LockRecord = {
      schema: 1,
      at_ms: nowMs,
      until_ms: untilMs,
      period_ms: periodMs,
      skipped: [...marked],
    };
    const name = `${lockedPrefix}${String(nowMs).padStart(15, '0')}-${randomBytes(4).toString('hex')}`;
    await putRecord(storage, pipelineKeys, name, record, { signal });
    for (const old of records) await storage.delete(old.name, { signal });
  }
  return { objects, all: isFull, until: new Date(untilMs).toISOString() };
}

async function retainAll(
  { storage }: Repository,
  retain: Retain,
  isDue: (object: ObjectInfo) => boolean,
  untilMs: number,
  signal: AbortSignal,
): Promise<number> {
  let objects = 0;
  for (const prefix of kept) {
    const listing = storage.list(prefix, { signal })[Symbol.asyncIterator]();
    const lane = async (): Promise<void> => {
      for (let next = await listing.next(); next.done !== true; next = await listing.next()) {
        if (!isDue(next.value)) continue;
        try {
          await retain(next.value.name, untilMs, { signal });
          objects += 1;
        } catch (error) {
          // Forgotten, or put together with others, since it was listed.
          if (!isFailure(error, 'object_missing')) throw error;
        }
      }
    };
    const lanes = Array.from({ length: atOnce }, lane);
    try {
      await Promise.all(lanes);
    } finally {
      await Promise.allSettled(lanes);
      await listing.return?.();
    }
  }
  return objects;
}

/** One that is damaged counts for nothing: then everything is looked at. */
async function readLast(
  { storage, pipelineKeys }: Repository,
  records: readonly ObjectInfo[],
  signal: AbortSignal,
): Promise<LockRecord | undefined> {
  const name = records.at(-1)?.name;
  if (name === undefined) return undefined;
  try {
    return await readRecord(storage, pipelineKeys, name, lockRecordSchema, { signal });
  } catch (error) {
    if (isFailure(error, 'object_damaged') || isFailure(error, 'object_missing')) return undefined;
    throw error;
  }
}

async function markedNames(repository: Repository, signal: AbortSignal): Promise<ReadonlySet<string>> {
  const { storage, pipelineKeys } = repository;
  const names = new Set<string>();
  const ranges: WalRange[] = [];
  for await (const listed of listMarks(storage, signal)) {
    const mark = await readMark(storage, pipelineKeys, listed, signal);
    for (const pack of mark?.contents.packs ?? []) names.add(packObject(pack));
    ranges.push(...(mark?.contents.wal ?? []));
  }
  const archives = new Set(ranges.map(({ archive }) => archive));
  for (const id of archives) {
    const archive = await repository.findWalArchive(id, { signal });
    if (archive === undefined) continue;
    const timelines = new Set(ranges.filter((range) => range.archive === id).map(({ timeline }) => timeline));
    for (const timeline of timelines)
      for await (const stretch of archive.stretches(timeline, {}, { signal }))
        if (isMarked(archive, stretch, ranges)) names.add(stretch.objectName);
  }
  return names;
}
