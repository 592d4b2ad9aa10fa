import { addToLsn, lsnOf, type Lsn } from '../lsn.ts';

/** A file that PostgreSQL archives or asks for: it has a name of one of these forms. */
export type WalFileName =
  | { readonly kind: 'segment'; readonly timeline: number; readonly log: number; readonly segment: number }
  /** `00000002.history`: where the timeline comes from. */
  | { readonly kind: 'history'; readonly timeline: number }
  /** `000000010000000000000002.00000028.backup`: a note about a base backup. */
  | { readonly kind: 'backup'; readonly timeline: number }
  /** `000000010000000000000005.partial`: the last segment of a timeline that a promotion ended. */
  | { readonly kind: 'partial'; readonly timeline: number; readonly log: number; readonly segment: number };

const patterns = {
  segment: /^([0-9A-F]{8})([0-9A-F]{8})([0-9A-F]{8})$/,
  partial: /^([0-9A-F]{8})([0-9A-F]{8})([0-9A-F]{8})\.partial$/,
  history: /^([0-9A-F]{8})\.history$/,
  backup: /^([0-9A-F]{8})[0-9A-F]{16}\.[0-9A-F]{8}\.backup$/,
} as const;

/** What a name says; undefined when PostgreSQL gives no file in `pg_wal` such a name. */
export function parseWalFileName(name: string): WalFileName | undefined {
  for (const kind of ['segment', 'partial', 'history', 'backup'] as const) {
    const match = patterns[kind].exec(name);
    if (match === null) continue;
    const [timeline = 0, log = 0, segment = 0] = match.slice(1).map((digits) => Number.parseInt(digits, 16));
    return kind === 'segment' || kind === 'partial' ? { kind, timeline, log, segment } : { kind, timeline };
  }
  return undefined;
}

/** `000000010000000A000000FF`: the segment of the timeline that holds the position. */
export function segmentName(timeline: number, lsn: Lsn, segmentBytes: number): string {
  const number = lsn / BigInt(segmentBytes);
  const perLog = 0x1_0000_0000n / BigInt(segmentBytes);
  return [BigInt(timeline), number / perLog, number % perLog]
    .map((part) => part.toString(16).padStart(8, '0'))
    .join('')
    .toUpperCase();
}

export function historyName(timeline: number): string {
  return `${timeline.toString(16).padStart(8, '0').toUpperCase()}.history`;
}

/** Where a segment begins. Undefined when segments of that size have no such number. */
export function segmentStart(
  { log, segment }: { readonly log: number; readonly segment: number },
  segmentBytes: number,
): Lsn | undefined {
  const perLog = 0x1_0000_0000 / segmentBytes;
  if (segment >= perLog) return undefined;
  return addToLsn(lsnOf(BigInt(log) << 32n), segment * segmentBytes);
}

/** Whether a cluster can have segments of this size: a power of two from 1 MiB to 1 GiB. */
export function isSegmentSize(bytes: number): boolean {
  return Number.isInteger(Math.log2(bytes)) && bytes >= 1024 * 1024 && bytes <= 1024 * 1024 * 1024;
}
