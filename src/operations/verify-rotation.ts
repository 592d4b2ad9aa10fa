/**
 * When what was last read, over all keys in their order: from `[key, ms]` on, up to the next one. The first key is '', and 0
 * stands for never. Short however much there is, for what is read together lies together.
 */
export type ReadAt = readonly (readonly [from: string, readAtMs: number])[];

/** From a key on, up to another one; to the end of all where that is null. */
export interface KeyRange {
  readonly from: string;
  readonly to: string | null;
}

export const neverRead: ReadAt = [['', 0]];

/** Pieces that are kept apart at most. */
const mostPieces = 256;

/** Whatever was read later of the two, for every key. */
export function laterOf(one: ReadAt, other: ReadAt): ReadAt {
  const keys = [...new Set([...one, ...other].map(([from]) => from))].toSorted();
  return joined(keys.map((key) => [key, Math.max(timeAt(one, key), timeAt(other, key))]));
}

/** The same with these ranges read at that time. */
export function readNow(readAt: ReadAt, ranges: readonly KeyRange[], nowMs: number): ReadAt {
  let result = readAt;
  for (const { from, to } of ranges) {
    const now: [string, number][] = [[from, nowMs]];
    if (from !== '') now.unshift(['', 0]);
    if (to !== null) now.push([to, 0]);
    result = laterOf(result, now);
  }
  return result;
}

function timeAt(readAt: ReadAt, key: string): number {
  return readAt.findLast(([from]) => from <= key)?.[1] ?? 0;
}

/** Neighbours of the same time become one; where there are too many, the nearest in time do, and count as read at the earlier one. */
function joined(pieces: readonly (readonly [string, number])[]): ReadAt {
  let result = pieces.filter(([, ms], index) => pieces[index - 1]?.[1] !== ms);
  while (result.length > mostPieces) {
    const gaps = result.slice(1).map(([, ms], index) => Math.abs(ms - (result[index]?.[1] ?? 0)));
    const at = gaps.indexOf(Math.min(...gaps));
    const [from = '', ms = 0] = result[at] ?? [];
    const earlier = Math.min(ms, result[at + 1]?.[1] ?? 0);
    const merged = result.toSpliced(at, 2, [from, earlier]);
    result = merged.filter(([, time], index) => merged[index - 1]?.[1] !== time);
  }
  return result;
}

export interface Chosen<T> {
  /** By key. */
  readonly items: readonly T[];
  /** What counts as read when all of them are. */
  readonly ranges: readonly KeyRange[];
}

/**
 * Of items, given by key, a share of their bytes: those that were read the longest ago first. At least one. So as many
 * runs as the share goes into the whole read all of it.
 */
export function leastRecentlyRead<T>(
  items: readonly T[],
  facts: { readonly keyOf: (item: T) => string; readonly bytesOf: (item: T) => number },
  share: number,
  readAt: ReadAt,
): Chosen<T> {
  const { keyOf, bytesOf } = facts;
  const wantedBytes = share * items.reduce((sum, item) => sum + bytesOf(item), 0);
  const chosen: T[] = [];
  const ranges: KeyRange[] = [];
  let bytes = 0;
  const enough = (): boolean => chosen.length > 0 && bytes >= wantedBytes;
  for (const { from, to } of oldestFirst(readAt)) {
    if (enough()) break;
    const inside = items.filter((item) => keyOf(item) >= from && (to === null || keyOf(item) < to));
    let end = to;
    for (const item of inside) {
      if (enough()) {
        end = keyOf(item);
        break;
      }
      chosen.push(item);
      bytes += bytesOf(item);
    }
    ranges.push({ from, to: end });
  }
  return { items: chosen.toSorted((a, b) => (keyOf(a) < keyOf(b) ? -1 : 1)), ranges };
}

function oldestFirst(readAt: ReadAt): KeyRange[] {
  return readAt
    .map(([from, ms], index) => ({ from, ms, to: readAt[index + 1]?.[0] ?? null }))
    .toSorted((a, b) => a.ms - b.ms || (a.from < b.from ? -1 : 1));
}
