import type { WalFacts } from '../../contract/wal.ts';
import { failure } from '../../kernel/errors/failure.ts';
import { addToLsn, formatLsn, type Lsn } from '../../postgres/lsn.ts';
import { segmentName } from '../../postgres/wal/names.ts';
import type { WalScanner } from '../../postgres/wal/scan.ts';
import type { WalArchive } from '../../repository/wal/model.ts';

/** So many parts of one size class are put together: a unit has few objects, and its bytes are stored few times. */
const partsTogether = 32;

/** A part that is stored: positions within the unit. */
export interface UnitPart {
  readonly from: number;
  readonly to: number;
  /** How often what is in it has been put together. */
  readonly level: number;
}

/** The stretch of WAL that is being received, up to one unit of an archive. */
export class StreamUnit {
  readonly timeline: number;
  readonly start: Lsn;
  readonly bytes: Uint8Array;
  /** Bytes received, from the start. */
  filled = 0;
  readonly #archive: WalArchive;
  readonly #scanner: WalScanner;
  /** What the archive has already from the start on: what comes must be the same. */
  readonly #known: Uint8Array;
  readonly #facts: { readonly from: number; readonly to: number; readonly facts: WalFacts }[] = [];
  /** Stored without a gap from the start, be it received yet or not. */
  #stored: number;
  #parts: UnitPart[] = [];

  constructor(
    archive: WalArchive,
    scanner: WalScanner,
    place: { readonly timeline: number; readonly start: Lsn },
    known: Uint8Array = new Uint8Array(0),
  ) {
    this.timeline = place.timeline;
    this.start = place.start;
    this.#archive = archive;
    this.#scanner = scanner;
    this.#known = known;
    this.#stored = known.length;
    this.bytes = new Uint8Array(archive.unitBytes);
    // However many objects that is: with the next part they are put together.
    if (known.length > 0) this.#parts.push({ from: 0, to: known.length, level: -1 });
  }

  get isFull(): boolean {
    return this.filled === this.bytes.length;
  }

  /** Bytes from the start that are durable and were received as well. */
  get stored(): number {
    return Math.min(this.#stored, this.filled);
  }

  get hasParts(): boolean {
    return this.#parts.length > 0;
  }

  /** Takes as many bytes as there is room for and answers how many. Throws `wal_differs`. */
  take(bytes: Uint8Array): number {
    const taken = bytes.subarray(0, this.bytes.length - this.filled);
    const there = this.#known.subarray(this.filled, this.filled + taken.length);
    const same = taken.subarray(0, there.length);
    if (Buffer.compare(same, there) !== 0) {
      const at = same.findIndex((byte, index) => byte !== there[index]);
      throw this.#differs(this.filled + at);
    }
    this.bytes.set(taken, this.filled);
    this.filled += taken.length;
    return taken.length;
  }

  /** What is to be stored next: what is new, with all that was there before this program, if there was anything. */
  nextPart(): UnitPart {
    const from = this.#parts.at(-1)?.level === -1 ? 0 : this.stored;
    return { from, to: this.filled, level: 0 };
  }

  wholePart(): UnitPart {
    return { from: 0, to: this.bytes.length, level: 0 };
  }

  /** Notes that a part is durable. */
  add(part: UnitPart): void {
    this.#parts = [...this.#parts.filter(({ from }) => from < part.from), part];
    this.#stored = Math.max(this.#stored, part.to);
  }

  /** A part that would stand for many smaller ones; undefined while there are few. */
  partOfMany(): UnitPart | undefined {
    const level = this.#parts.at(-1)?.level ?? 0;
    const alike = this.#parts.filter((part) => part.level === level);
    const [first] = alike;
    if (first === undefined || alike.length < partsTogether) return undefined;
    return { from: first.from, to: this.#parts.at(-1)?.to ?? first.to, level: level + 1 };
  }

  /** Whether these are positions of a part that is stored from here. */
  knows(start: bigint, end: bigint): boolean {
    return this.#parts.some(
      ({ from, to, level }) =>
        level >= 0 && start === this.start + BigInt(from) && end === this.start + BigInt(to),
    );
  }

  at(offset: number): Lsn {
    return addToLsn(this.start, offset);
  }

  /** The facts about a part. Parts that were looked at are not looked at again. */
  factsOf({ from, to }: UnitPart): WalFacts {
    let seen = this.#facts.at(-1)?.to ?? 0;
    for (const end of [from, to]) {
      if (end <= seen) continue;
      const facts = this.#scanner.scan(this.bytes.subarray(seen, end), this.at(seen));
      this.#facts.push({ from: seen, to: end, facts });
      seen = end;
    }
    return joinFacts(
      this.#facts.filter((slice) => slice.from >= from && slice.to <= to).map(({ facts }) => facts),
    );
  }

  #differs(offset: number): Error {
    const { info } = this.#archive;
    return failure('wal_differs', {
      source: info.source,
      timeline: this.timeline,
      lsn: formatLsn(this.at(offset)),
      name: segmentName(this.timeline, this.start, info.segment_bytes),
    });
  }
}

/** Facts about stretches that follow each other. */
function joinFacts(all: readonly WalFacts[]): WalFacts {
  const times = (pick: (facts: WalFacts) => number | null): number[] =>
    all.map(pick).filter((time) => time !== null);
  const first = times(({ first_at_us }) => first_at_us);
  const last = times(({ last_at_us }) => last_at_us);
  return {
    transactions: all.reduce((sum, { transactions }) => sum + transactions, 0),
    first_at_us: first.length === 0 ? null : Math.min(...first),
    last_at_us: last.length === 0 ? null : Math.max(...last),
    restore_points: all.flatMap((facts) => facts.restore_points),
    scanned: all.every(({ scanned }) => scanned),
  };
}
