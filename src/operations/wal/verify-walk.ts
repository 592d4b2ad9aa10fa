import { floorLsn, lsnOf, type Lsn } from '../../postgres/lsn.ts';
import { walPageBytes } from '../../postgres/wal/format.ts';
import { WalRecordReader } from '../../postgres/wal/reader.ts';

/** What pages of an archive must say. */
export interface WalkExpectations {
  readonly timeline: number;
  readonly segmentBytes: number;
  /** Decimal digits. */
  readonly systemIdentifier: string;
}

/** Where records cannot be followed. */
export interface WalBreak {
  readonly at: bigint;
  /** For people. */
  readonly reason: string;
}

/** What was learnt from WAL without a gap about the records in it. */
export interface WalkedRange {
  readonly start: bigint;
  readonly end: bigint;
  /** Where its records end before it does; null when they fill it. */
  readonly stop: WalBreak | null;
  /** The last record of it is a switch: what follows up to here means nothing. */
  readonly skipTo: bigint;
  /** From its start to the end of the first record that begins in it; all of it when none ends in it. */
  readonly head: Uint8Array;
  /** From the page in which its last whole record begins, as far as the next range is needed to read on; null without one. */
  readonly tail: { readonly start: bigint; readonly bytes: Uint8Array } | null;
}

/** Checks the records of WAL without a gap, but for those that cross its ends: what is needed to check them is in the answer. */
export function walkRange(start: bigint, bytes: Uint8Array, expected: WalkExpectations): WalkedRange {
  const reader = new WalRecordReader({ start: lsnOf(start), ...expected });
  let firstEnd: Lsn | undefined;
  // Positions are computed when they are asked for: of millions of records not more than these are of interest.
  reader.add(bytes, (record) => {
    firstEnd ??= record.end;
  });
  const end = start + BigInt(bytes.length);
  const { stopped, lastStart, lastEnd } = reader;
  const headEnd = firstEnd === undefined || firstEnd > end ? end : firstEnd;
  const head = bytes.subarray(0, Number(headEnd - start));
  const stop = stopped === undefined ? null : { at: BigInt(stopped.at), reason: stopped.reason };
  const skipTo = lastEnd ?? start;
  return { start, end, stop, skipTo, head, tail: tailOf(start, bytes, lastStart, skipTo) };
}

function tailOf(
  start: bigint,
  bytes: Uint8Array,
  lastStart: Lsn | undefined,
  skipTo: bigint,
): WalkedRange['tail'] {
  if (lastStart === undefined) return null;
  const page = floorLsn(lastStart, walPageBytes);
  const from = page < start ? start : BigInt(page);
  const end = start + BigInt(bytes.length);
  // Behind a switch nothing is needed but the record itself, which is short.
  const until = skipTo >= end ? lastStart + BigInt(2 * walPageBytes) : end;
  return { start: from, bytes: bytes.subarray(Number(from - start), Number(until - start)) };
}

/** Follows records from one range to the next of a timeline, in order. Holds no WAL. */
export class WalSeam {
  readonly #expected: WalkExpectations;
  #reader: WalRecordReader | undefined;
  /** Everything before it was looked at. */
  #end: bigint | undefined;
  #skipTo = 0n;
  #stop: WalBreak | null = null;

  constructor(expected: WalkExpectations) {
    this.#expected = expected;
  }

  /** Where records ended, and no range that goes on there has come yet. */
  get stop(): WalBreak | null {
    return this.#stop;
  }

  /** What is broken before or at the beginning of this range. What comes behind a gap begins anew, and breaks nothing. */
  add(range: WalkedRange): WalBreak | null {
    const follows = range.start === this.#end;
    const before = follows ? this.#stop : null;
    const isKnown = follows && this.#reader !== undefined;
    if (!follows) this.#begin(range.start);
    this.#end = range.end;
    if (this.#skipTo >= range.end) return before;
    const seam = this.#cross(range);
    if (this.#reader !== undefined && this.#skipTo >= range.end) this.#stop = null;
    else if (range.tail === null) this.#stop = isKnown ? seam : this.#stopOf(range);
    else {
      this.#restart(range, range.tail);
      // Where both stop the range has told of it itself.
      const isOwn = range.stop !== null && seam !== null && seam.at >= range.stop.at;
      return before ?? (isOwn ? null : seam);
    }
    return before;
  }

  #begin(start: bigint): void {
    this.#reader = new WalRecordReader({ start: lsnOf(start), ...this.#expected });
    this.#skipTo = 0n;
    this.#stop = null;
  }

  /** Without what was before it cannot be told whether a switch has left the range empty. */
  #stopOf({ start, stop }: WalkedRange): WalBreak | null {
    return start % BigInt(this.#expected.segmentBytes) === 0n ? stop : null;
  }

  /** Reads on over the beginning of the range. Where that is not possible the reader is gone. */
  #cross(range: WalkedRange): WalBreak | null {
    const reader = this.#reader;
    if (reader === undefined) return null;
    feedZeros(reader, range.start);
    reader.add(range.head, () => {});
    const { stopped, lastEnd = 0n } = reader;
    if (lastEnd > this.#skipTo) this.#skipTo = lastEnd;
    if (stopped === undefined) return null;
    this.#reader = undefined;
    return { at: stopped.at, reason: stopped.reason };
  }

  #restart({ stop, skipTo }: WalkedRange, tail: NonNullable<WalkedRange['tail']>): void {
    this.#stop = stop;
    this.#skipTo = skipTo;
    this.#reader = undefined;
    if (stop !== null) return;
    this.#reader = new WalRecordReader({ start: lsnOf(tail.start), ...this.#expected });
    this.#reader.add(tail.bytes, () => {});
  }
}

const zeros = new Uint8Array(1024 * 1024);

/** What a switch left of its segment. */
function feedZeros(reader: WalRecordReader, to: bigint): void {
  while (reader.position < to && reader.stopped === undefined) {
    const left = to - reader.position;
    reader.add(zeros.subarray(0, left < BigInt(zeros.length) ? Number(left) : zeros.length), () => {});
  }
}
