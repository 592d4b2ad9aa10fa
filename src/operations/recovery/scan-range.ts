import { addToLsn, floorLsn, lsnOf, type Lsn } from '../../postgres/lsn.ts';
import { walPageBytes } from '../../postgres/wal/format.ts';
import { WalRecordReader } from '../../postgres/wal/reader.ts';
import type { WalRecord } from '../../postgres/wal/record.ts';
import type { WalStop } from '../../postgres/wal/stop.ts';
import { decodeRecord, isTarget, type WalEvent } from '../../postgres/wal/transactions.ts';
import type { CallContext } from '../../repository/model.ts';
import type { WalArchive } from '../../repository/wal/model.ts';
import type { WalPiece } from './reach.ts';

export interface ScanContext extends CallContext {
  /** Told how many bytes more were read. */
  readonly onProgress?: ((bytes: number) => void) | undefined;
}

/** Positions; both lie in the pieces. */
export interface WalRange {
  readonly from: Lsn;
  readonly to: Lsn;
}

/**
 * The bytes of a range in pieces of at most a unit. Ends early where a unit has less than was listed. Rejects as
 * `WalArchive.readUnit`.
 */
export async function* walBytes(
  archive: WalArchive,
  pieces: readonly WalPiece[],
  { from, to }: WalRange,
  context: ScanContext = {},
): AsyncGenerator<
  { readonly timeline: number; readonly start: Lsn; readonly bytes: Uint8Array },
  void,
  void
> {
  for (const piece of pieces) {
    let at = piece.from < from ? from : piece.from;
    const end = piece.to < to ? piece.to : to;
    while (at < end) {
      context.signal?.throwIfAborted();
      const unit = floorLsn(at, archive.unitBytes);
      const all = await archive.readUnit(piece.timeline, unit, context);
      const bytes = all.subarray(Number(at - unit), Number(end - unit));
      if (bytes.length === 0) return;
      context.onProgress?.(bytes.length);
      yield { timeline: piece.timeline, start: at, bytes };
      at = addToLsn(at, bytes.length);
      if (all.length < archive.unitBytes && at < end) return;
    }
  }
}

/** A record that recovery can stop at, or any other (`event` is undefined then). */
export interface SeenRecord {
  readonly start: Lsn;
  readonly end: Lsn;
  readonly event: WalEvent | undefined;
  /** Holds during the visit only. */
  readonly record: WalRecord;
}

export interface Scanned {
  /** Where the last whole record ends that was seen; undefined when none was. */
  readonly lastEnd: Lsn | undefined;
  /** Where valid WAL ended before the range did. */
  readonly stopped: WalStop | undefined;
}

/** What recovery would meet in a range. Returns true to be told of no more. */
export type VisitRecord = (record: SeenRecord) => boolean;

/** Visits, one after the other, all records that begin in a range and lie whole in the pieces up to its end. */
export async function scanRecords(
  archive: WalArchive,
  pieces: readonly WalPiece[],
  { from, to }: WalRange,
  visit: VisitRecord,
  context: ScanContext = {},
): Promise<Scanned> {
  const start = floorLsn(from, walPageBytes);
  const { segment_bytes: segmentBytes, system_identifier: systemIdentifier } = archive.info;
  const reader = new WalRecordReader({ start, wants: isTarget, segmentBytes, systemIdentifier });
  let isDone = false;
  const look = (record: WalRecord): void => {
    if (isDone || record.start < from) return;
    isDone = visit({ start: record.start, end: record.end, event: decodeRecord(record), record });
  };
  // Pieces may begin in the middle of a page, and only its header tells where a record begins in it.
  const whole = pieces.map((piece) => ({ ...piece, from: piece.from > from ? piece.from : start }));
  for await (const { bytes } of walBytes(archive, whole, { from: start, to }, context)) {
    reader.add(bytes, look);
    if (isDone || reader.stopped !== undefined) break;
  }
  return { lastEnd: reader.lastEnd, stopped: reader.stopped };
}

/**
 * The last whole record that recovery finds in the pieces. A record may be long, and at its end nothing tells where it
 * begins: reading begins farther and farther in front of the end, at last at `from`.
 */
export async function lastRecord(
  archive: WalArchive,
  pieces: readonly WalPiece[],
  { from, to }: WalRange,
  context: ScanContext = {},
): Promise<SeenRecord | undefined> {
  for (let bytes = 1024 * 1024; ; bytes *= 8) {
    const begin = to - from > BigInt(bytes) ? lsnOf(to - BigInt(bytes)) : from;
    let last: SeenRecord | undefined;
    const visit = (record: SeenRecord): boolean => {
      last = record;
      return false;
    };
    await scanRecords(archive, pieces, { from: begin, to }, visit, context);
    if (last !== undefined || begin === from) return last;
  }
}
