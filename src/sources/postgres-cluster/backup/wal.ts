import { open, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { failure } from '../../../kernel/errors/failure.ts';
import { addToLsn, floorLsn, type Lsn } from '../../../postgres/lsn.ts';
import { checkSegmentHeader } from '../../../postgres/wal/header.ts';
import { historyName, segmentName } from '../../../postgres/wal/names.ts';
import type { BackupContext, WalStore } from '../../port.ts';
import { errnoOf } from './directory.ts';
import type { ServerFacts } from './facts.ts';

/** What a header of a segment takes, with room to spare. */
const headerBytes = 64;

export interface WalRange {
  readonly dataDirectory: string;
  readonly facts: ServerFacts;
  readonly timeline: number;
  readonly startLsn: Lsn;
  readonly stopLsn: Lsn;
}

/**
 * Sees to it that the archive has the WAL that makes this backup whole: what it does not have is read in `pg_wal`.
 * `cluster_wal_gone` when the server has removed it.
 */
export async function storeWal(range: WalRange, wal: WalStore, context: BackupContext): Promise<void> {
  const { facts, timeline, startLsn, stopLsn } = range;
  const { walSegmentBytes } = facts;
  await storeHistory(range, wal, context);
  const first = floorLsn(startLsn, walSegmentBytes);
  for (let start = first; start < stopLsn; start = addToLsn(start, walSegmentBytes)) {
    context.signal.throwIfAborted();
    const end = segmentEnd(start, range);
    if (await wal.covers(timeline, start, end)) continue;
    await storeSegment(start, end, range, wal, context);
  }
}

/**
 * A primary begins a new segment when a backup ends, so that the last one is complete. A standby cannot: what its last
 * segment has behind the end of the backup may change still, and is nothing that the backup needs.
 */
function segmentEnd(start: Lsn, { facts, stopLsn }: WalRange): Lsn {
  const end = addToLsn(start, facts.walSegmentBytes);
  return facts.inRecovery && stopLsn < end ? stopLsn : end;
}

async function storeSegment(
  start: Lsn,
  end: Lsn,
  { dataDirectory, facts, timeline }: WalRange,
  wal: WalStore,
  context: BackupContext,
): Promise<void> {
  const segment = segmentName(timeline, start, facts.walSegmentBytes);
  const gone = (reason: string): Error => failure('cluster_wal_gone', { segment, reason });
  const path = join(dataDirectory, 'pg_wal', segment);
  await using file = await open(path, 'r').catch((error: unknown) => {
    throw gone(errnoOf(error));
  });
  const header = Buffer.alloc(headerBytes);
  await file.read(header, 0, header.length, 0);
  const { systemIdentifier, walSegmentBytes: segmentBytes } = facts;
  const wrong = checkSegmentHeader(header, { start, timeline, systemIdentifier, segmentBytes });
  if (wrong !== null) throw gone(wrong);
  for (let at = start; at < end; at = addToLsn(at, wal.unitBytes)) {
    context.signal.throwIfAborted();
    const bytes = Buffer.alloc(Number(end - at < BigInt(wal.unitBytes) ? end - at : BigInt(wal.unitBytes)));
    const { bytesRead } = await file.read(bytes, 0, bytes.length, Number(at - start));
    if (bytesRead < bytes.length) throw gone('it is shorter than a segment');
    // The server may have renamed the file for reuse while it was read, and have written other WAL into it.
    if ((await inodeOf(path)) !== (await file.stat({ bigint: true })).ino)
      throw gone('it was reused meanwhile');
    await wal.put({ timeline, start: at, bytes });
  }
}

async function inodeOf(path: string): Promise<bigint | undefined> {
  try {
    await using file = await open(path, 'r');
    return (await file.stat({ bigint: true })).ino;
  } catch {
    return undefined; // Gone.
  }
}

/** Where the timeline comes from; the first one comes from nowhere. */
async function storeHistory(
  { dataDirectory, timeline }: WalRange,
  wal: WalStore,
  { log }: BackupContext,
): Promise<void> {
  if (timeline === 1) return;
  const name = historyName(timeline);
  try {
    await wal.putFile(name, await readFile(join(dataDirectory, 'pg_wal', name)));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    // Somebody removed it; recovery from this backup goes on along its timeline without it.
    log.warn('the history of the timeline is not in pg_wal', { file: name });
  }
}
