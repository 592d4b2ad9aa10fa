import { floorLsn, lsnOf, type Lsn } from '../../postgres/lsn.ts';
import type { TimelinePart } from '../../postgres/wal/history.ts';
import type { CallContext } from '../../repository/model.ts';
import type { WalArchive, WalRun } from '../../repository/wal/model.ts';

/** WAL of a server's past that is not stored. */
export interface Missing {
  readonly timeline: number;
  readonly from: Lsn;
  /** Where the next that is stored begins, or the next timeline; null when all that comes is missing. */
  readonly to: Lsn | null;
  /** A recovery reads these positions from the next timeline's files, which have them too. */
  readonly isSpare: boolean;
}

/**
 * What is missing in an archive of the WAL on a server's path, by position, from the first that is stored on. The last
 * one is what the server will write. Empty when nothing is stored at all.
 */
export async function missingOn(
  archive: WalArchive,
  path: readonly TimelinePart[],
  context: CallContext,
): Promise<Missing[]> {
  const all: Missing[] = [];
  let hasBegun = false;
  for (const step of path) {
    const from = segmentOf(archive, step.start);
    const listed = await archive.runs(step.timeline, { from }, context);
    const runs = listed.filter(({ start }) => step.end === undefined || start < step.end);
    if (runs.length > 0 || hasBegun) all.push(...missingOfStep(archive, step, runs, hasBegun));
    hasBegun ||= runs.length > 0;
  }
  return all;
}

function missingOfStep(
  archive: WalArchive,
  { timeline, start: beginning, end: to }: TimelinePart,
  runs: readonly WalRun[],
  fromBeginning: boolean,
): Missing[] {
  const found: Missing[] = [];
  /** From the beginning of the file that the next timeline has a copy of. */
  const spareFrom = to === undefined ? undefined : segmentOf(archive, to);
  const add = (start: Lsn, end: Lsn | undefined): void => {
    if (end !== undefined && start >= end) return;
    const isSpare = spareFrom !== undefined && start >= spareFrom;
    found.push({ timeline, from: start, to: end ?? null, isSpare });
  };
  const [first] = runs;
  if (fromBeginning) add(segmentOf(archive, beginning), first === undefined ? to : lsnOf(first.start));
  for (const [index, run] of runs.entries()) {
    const next = runs[index + 1];
    add(lsnOf(run.end), next === undefined ? to : lsnOf(next.start));
  }
  return found;
}

export function segmentOf(archive: WalArchive, lsn: Lsn): Lsn {
  return floorLsn(lsn, archive.info.segment_bytes);
}

/**
 * The first position from the beginning of a segment on that a server still has: `isThere` asks it. WAL is removed from
 * the oldest on. Null when it has none of `[from, to)`.
 */
export async function oldestKept(
  archive: WalArchive,
  range: { readonly from: Lsn; readonly to: Lsn },
  isThere: (segmentStart: Lsn) => Promise<boolean>,
): Promise<Lsn | null> {
  const segment = BigInt(archive.info.segment_bytes);
  /** The numbers of a segment that is gone, and of one that is there. */
  let gone = range.from / segment;
  let there = (range.to - 1n) / segment;
  if (there <= gone || !(await isThere(lsnOf(there * segment)))) return null;
  while (there - gone > 1n) {
    const middle = (gone + there) / 2n;
    if (await isThere(lsnOf(middle * segment))) there = middle;
    else gone = middle;
  }
  return lsnOf(there * segment);
}
