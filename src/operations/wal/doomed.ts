import { parseLsn, type Lsn } from '../../postgres/lsn.ts';
import { listMarks, readMark, type WalRange } from '../../repository/gc/marks.ts';
import { storageNow } from '../../repository/gc/storage-clock.ts';
import type { Repository } from '../../repository/repository.ts';

/** WAL that a backup needs: from a position of a timeline up to, and not with, another one. */
export interface NeededWal {
  readonly archive: string;
  readonly timeline: number;
  readonly start: Lsn;
  readonly stop: Lsn;
}

/**
 * Nothing announces that it needs WAL. So whoever makes a backup of a cluster appear that was made elsewhere or before (an
 * undo, a sync) asks this when its manifest is there: WAL that was marked less than half a grace ago stays, for a prune
 * lists the backups after the other half. Undefined then; else the mark's range that is about to be removed, and the
 * manifest must be taken back.
 */
export async function doomedWal(
  { storage, pipelineKeys }: Repository,
  needed: readonly NeededWal[],
  signal?: AbortSignal,
): Promise<WalRange | undefined> {
  let nowMs: number | undefined;
  for await (const listed of listMarks(storage, signal)) {
    const mark = await readMark(storage, pipelineKeys, listed, signal);
    const range = mark?.contents.wal.find((one) => needed.some((wal) => overlaps(one, wal)));
    if (mark === undefined || range === undefined) continue;
    nowMs ??= await storageNow(storage, signal);
    if (nowMs - mark.storedAtMs > mark.contents.grace_ms / 2) return range;
  }
  return undefined;
}

function overlaps(range: WalRange, { archive, timeline, start, stop }: NeededWal): boolean {
  return (
    range.archive === archive &&
    range.timeline === timeline &&
    (parseLsn(range.from) ?? start) < stop &&
    (parseLsn(range.to) ?? stop) > start
  );
}
