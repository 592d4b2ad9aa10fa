import { formatLsn, lsnOf, type Lsn } from '../lsn.ts';
import { longHeaderBytes, majorOfMagic, pageFlags, shortHeaderBytes } from './format.ts';
import { isSegmentSize } from './names.ts';

/** What the first page of a segment says about it. */
export interface SegmentHeader {
  readonly magic: number;
  /** Undefined when the magic number is not known here. */
  readonly major: number | undefined;
  readonly flags: number;
  /** Of the page; older than that of the file's name when the segment was copied for a new timeline. */
  readonly timeline: number;
  /** Where the segment begins. */
  readonly start: Lsn;
  /** Bytes of a record begun before that are still to come. */
  readonly tailBytes: number;
  /** Decimal digits. */
  readonly systemIdentifier: string;
  readonly segmentBytes: number;
  readonly walPageBytes: number;
}

export interface ExpectedSegment {
  readonly start: Lsn;
  readonly timeline: number;
  /** Decimal digits. */
  readonly systemIdentifier?: string;
  readonly segmentBytes?: number;
}

/** Reads the beginning of a segment, of a version not known here too; undefined when it is not one. */
export function parseSegmentHeader(bytes: Uint8Array): SegmentHeader | undefined {
  if (bytes.length < longHeaderBytes) return undefined;
  const view = new DataView(bytes.buffer, bytes.byteOffset, longHeaderBytes);
  const magic = view.getUint16(0, true);
  const header: SegmentHeader = {
    magic,
    major: majorOfMagic(magic),
    flags: view.getUint16(2, true),
    timeline: view.getUint32(4, true),
    start: lsnOf(view.getBigUint64(8, true)),
    tailBytes: view.getUint32(16, true),
    systemIdentifier: String(view.getBigUint64(shortHeaderBytes, true)),
    segmentBytes: view.getUint32(32, true),
    walPageBytes: view.getUint32(36, true),
  };
  return looksLikeOne(header) ? header : undefined;
}

/** All versions of the last decade, and surely the next one, have numbers from 0xD100 on and the same header. */
function looksLikeOne({ magic, flags, timeline, segmentBytes, walPageBytes }: SegmentHeader): boolean {
  const isKnownForm = magic >> 8 === 0xd1 && (flags & pageFlags.longHeader) !== 0 && flags <= pageFlags.all;
  const isPageSize =
    Number.isInteger(Math.log2(walPageBytes)) && walPageBytes >= 1024 && walPageBytes <= 65_536;
  return isKnownForm && timeline !== 0 && isSegmentSize(segmentBytes) && isPageSize;
}

/** Why these bytes, from the beginning of a segment, are not the segment that is expected; null when they may be. */
export function checkSegmentHeader(bytes: Uint8Array, expected: ExpectedSegment): string | null {
  const header = parseSegmentHeader(bytes);
  if (header === undefined) {
    return bytes.length < longHeaderBytes
      ? `it has ${bytes.length} bytes only`
      : 'it is no WAL of PostgreSQL';
  }
  const { systemIdentifier = header.systemIdentifier, segmentBytes = header.segmentBytes } = expected;
  if (header.systemIdentifier !== systemIdentifier) {
    return `it is of another cluster: ${header.systemIdentifier}, not ${systemIdentifier}`;
  }
  if (header.segmentBytes !== segmentBytes) {
    return `it is of a cluster with segments of ${header.segmentBytes} bytes, not ${segmentBytes}`;
  }
  if (header.start !== expected.start) {
    return (
      `its content begins at ${formatLsn(header.start)}, not at ${formatLsn(expected.start)}: ` +
      'it is another segment, or a file that was made ready for reuse and not written yet'
    );
  }
  if (header.timeline > expected.timeline) {
    return `it is of timeline ${header.timeline}, which is newer than ${expected.timeline}`;
  }
  return null;
}
