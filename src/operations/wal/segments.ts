import { addToLsn, floorLsn, formatLsn, type Lsn } from '../../postgres/lsn.ts';
import { segmentName } from '../../postgres/wal/names.ts';
import type { TimelineStep } from '../recovery/history.ts';

/** So many are named one by one. */
const named = 16;

/** Segments by the names of their files. */
export interface SegmentNames {
  readonly count: number;
  /** The first ones in order, at most 16. */
  readonly first: readonly string[];
  readonly last: string | null;
}

/**
 * The segments that positions lie in, as recovery would ask for them: a segment in which a timeline begins is that of the
 * new one. `path` may be of the steps that matter alone.
 */
export function segmentsBetween(
  path: readonly Pick<TimelineStep, 'timeline' | 'from'>[],
  { from, to }: { readonly from: Lsn; readonly to: Lsn },
  segmentBytes: number,
): SegmentNames {
  if (to <= from) return { count: 0, first: [], last: null };
  const start = floorLsn(from, segmentBytes);
  const count = Number((to - start + BigInt(segmentBytes) - 1n) / BigInt(segmentBytes));
  const nameOf = (index: number): string => {
    const at = addToLsn(start, BigInt(index) * BigInt(segmentBytes));
    const step = path.findLast((one) => floorLsn(one.from, segmentBytes) <= at) ?? path[0];
    return segmentName(step?.timeline ?? 1, at, segmentBytes);
  };
  const first = Array.from({ length: Math.min(count, named) }, (_, index) => nameOf(index));
  return { count, first, last: nameOf(count - 1) };
}

/** `segment 000000010000000000000003`, `segments …, … and 7 more up to …` */
export function segmentWords({ count, first, last }: SegmentNames): string {
  const more = count > first.length ? ` and ${count - first.length} more up to ${last}` : '';
  return `${count === 1 ? 'segment' : 'segments'} ${first.join(', ')}${more}`;
}

/** `0/3000000 to 0/4000000 (segment 000000010000000000000003)` */
export function rangeWords(range: { readonly from: Lsn; readonly to: Lsn }, segments: SegmentNames): string {
  return `${formatLsn(range.from)} to ${formatLsn(range.to)} (${segmentWords(segments)})`;
}
