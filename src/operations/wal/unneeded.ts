import { formatLsn, lsnOf, parseLsn } from '../../postgres/lsn.ts';
import type { WalRange } from '../../repository/gc/marks.ts';
import type { Repository } from '../../repository/repository.ts';
import type { WalArchive, WalStretch } from '../../repository/wal/model.ts';

/** From a position up to, and not with, another one; null for no end. */
export interface KeptInterval {
  readonly from: bigint;
  readonly to: bigint | null;
}

/** By archive and timeline what must stay. What is not in it stays whole. */
export type KeptWal = ReadonlyMap<string, ReadonlyMap<number, readonly KeptInterval[]>>;

export interface WalCount {
  objects: number;
  bytes: number;
}

/** Stretches of WAL that lie outside everything that is kept, by archive, timeline and position. */
export async function* unneededWal(
  repository: Repository,
  kept: KeptWal,
  signal: AbortSignal,
): AsyncGenerator<{ readonly archive: WalArchive; readonly stretch: WalStretch }, void, void> {
  for (const [id, timelines] of kept) {
    const archive = await repository.findWalArchive(id, { signal });
    if (archive === undefined) continue;
    for (const [timeline, intervals] of timelines)
      for await (const stretch of archive.stretches(timeline, {}, { signal }))
        if (!overlaps(stretch, intervals)) yield { archive, stretch };
  }
}

/** Whether a stretch lies in an archive and a timeline that are known, and outside everything that is kept there. */
export function isUnneeded({ id }: WalArchive, stretch: WalStretch, kept: KeptWal): boolean {
  const intervals = kept.get(id)?.get(stretch.timeline);
  return intervals !== undefined && !overlaps(stretch, intervals);
}

function overlaps({ start, end }: WalStretch, intervals: readonly KeptInterval[]): boolean {
  return intervals.some(({ from, to }) => end > from && (to === null || start < to));
}

/** Puts stretches that follow each other together into ranges, for a mark; and counts them. */
export async function rangesOf(
  stretches: AsyncIterable<{ readonly archive: WalArchive; readonly stretch: WalStretch }>,
  count: WalCount,
): Promise<WalRange[]> {
  const ranges: { archive: string; timeline: number; from: bigint; to: bigint }[] = [];
  for await (const { archive, stretch } of stretches) {
    count.objects += 1;
    count.bytes += stretch.storedBytes;
    const { timeline, start, end } = stretch;
    const last = ranges.at(-1);
    if (last?.archive === archive.id && last.timeline === timeline && start <= last.to)
      last.to = end > last.to ? end : last.to;
    else ranges.push({ archive: archive.id, timeline, from: start, to: end });
  }
  return ranges.map(({ from, to, ...place }) => ({
    ...place,
    from: formatLsn(lsnOf(from)),
    to: formatLsn(lsnOf(to)),
  }));
}

/** Whether a stretch lies within one of the ranges. */
export function isMarked(
  { id }: WalArchive,
  { timeline, start, end }: WalStretch,
  ranges: readonly WalRange[],
): boolean {
  return ranges.some(
    (range) =>
      range.archive === id &&
      range.timeline === timeline &&
      (parseLsn(range.from) ?? end) <= start &&
      (parseLsn(range.to) ?? start) >= end,
  );
}
