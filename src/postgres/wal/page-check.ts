import type { Lsn } from '../lsn.ts';
import { longHeaderBytes, majorOfMagic, pageFlags, shortHeaderBytes, walPageBytes } from './format.ts';
import { isSegmentSize } from './names.ts';
import type { WalStopKind } from './stop.ts';

export interface PageExpectations {
  /** Bytes of a segment; found out from the first page of one unless given. */
  readonly segmentBytes?: number;
  /** Decimal digits. */
  readonly systemIdentifier?: string;
  /** The newest timeline that a page may be of. */
  readonly timeline?: number;
}

/** Checks the headers of pages one after the other, as recovery does. */
export class PageCheck {
  #magic: number | undefined;
  #segmentBytes: number | undefined;
  #systemIdentifier: bigint | undefined;
  readonly #newestTimeline: number;
  #timeline = 1;

  constructor({ segmentBytes, systemIdentifier, timeline }: PageExpectations) {
    this.#segmentBytes = segmentBytes;
    this.#systemIdentifier = systemIdentifier === undefined ? undefined : BigInt(systemIdentifier);
    this.#newestTimeline = timeline ?? 0xffff_ffff;
  }

  get segmentBytes(): number | undefined {
    return this.#segmentBytes;
  }

  /** Undefined before the first page. */
  get major(): number | undefined {
    return this.#magic === undefined ? undefined : majorOfMagic(this.#magic);
  }

  /** Bytes of the header at `at`, where those of the short one are there. */
  static bytesOf(view: DataView, at: number): number {
    return (view.getUint16(at + 2, true) & pageFlags.longHeader) === 0 ? shortHeaderBytes : longHeaderBytes;
  }

  /** Looks at the header at `at` of the page that must begin at `start`. What is wrong, or undefined. */
  check(view: DataView, at: number, start: Lsn): readonly [WalStopKind, string] | undefined {
    const magic = view.getUint16(at, true);
    const flags = view.getUint16(at + 2, true);
    const address = view.getBigUint64(at + 8, true);
    if (magic === 0 && flags === 0 && address === 0n) return ['zeros', 'there is nothing but zeros'];
    if (majorOfMagic(magic) === undefined || (flags & ~pageFlags.all) !== 0) {
      return ['unknown', 'there is no page of WAL of a known version'];
    }
    if (address !== start) return ['recycled', 'there is a page of another position'];
    if (magic !== (this.#magic ?? magic))
      return ['foreign', 'there is a page of another version of PostgreSQL'];
    const isLong = (flags & pageFlags.longHeader) !== 0;
    const beginsSegment = this.#segmentBytes !== undefined && start % BigInt(this.#segmentBytes) === 0n;
    if (isLong !== beginsSegment && (!isLong || this.#segmentBytes !== undefined)) {
      return ['foreign', 'segments of another size begin'];
    }
    const wrong = (isLong ? this.#checkSegment(view, at, start) : undefined) ?? this.#checkTimeline(view, at);
    if (wrong === undefined) this.#magic = magic;
    return wrong;
  }

  #checkSegment(view: DataView, at: number, start: Lsn): readonly [WalStopKind, string] | undefined {
    const systemIdentifier = view.getBigUint64(at + 24, true);
    const segmentBytes = view.getUint32(at + 32, true);
    if (view.getUint32(at + 36, true) !== walPageBytes) return ['unknown', 'there are pages of another size'];
    if (systemIdentifier !== (this.#systemIdentifier ?? systemIdentifier)) {
      return ['foreign', `there is WAL of another cluster (${systemIdentifier})`];
    }
    const isPossible = isSegmentSize(segmentBytes) && start % BigInt(segmentBytes) === 0n;
    if (!isPossible || segmentBytes !== (this.#segmentBytes ?? segmentBytes)) {
      return ['foreign', `there is a segment of ${segmentBytes} bytes`];
    }
    this.#systemIdentifier = systemIdentifier;
    this.#segmentBytes = segmentBytes;
    return undefined;
  }

  /** Timelines never go back. */
  #checkTimeline(view: DataView, at: number): readonly [WalStopKind, string] | undefined {
    const timeline = view.getUint32(at + 4, true);
    if (timeline < this.#timeline || timeline > this.#newestTimeline) {
      return ['foreign', `there is a page of timeline ${timeline}`];
    }
    this.#timeline = timeline;
    return undefined;
  }
}
