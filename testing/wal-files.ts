import { readFile, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { addToLsn, type Lsn } from '../src/postgres/lsn.ts';
import { parseWalFileName, segmentStart } from '../src/postgres/wal/names.ts';
import { WalRecordReader, type WalReaderOptions } from '../src/postgres/wal/reader.ts';
import type { WalRecord } from '../src/postgres/wal/record.ts';
import type { WalStop } from '../src/postgres/wal/stop.ts';

export interface ReadWal {
  readonly records: readonly WalRecord[];
  readonly stopped: WalStop | undefined;
  readonly lastEnd: Lsn | undefined;
}

/** Reads WAL in pieces that end at `cuts`, and keeps every record. */
export function readWal(bytes: Uint8Array, options: WalReaderOptions, cuts: readonly number[] = []): ReadWal {
  const reader = new WalRecordReader(options);
  const records: WalRecord[] = [];
  let from = 0;
  for (const cut of [...cuts.toSorted((a, b) => a - b), bytes.length]) {
    // A copy, so that nothing can rely on the piece after the call.
    const piece = Uint8Array.from(bytes.subarray(from, cut));
    reader.add(piece, (record) => records.push(copyRecord(record)));
    piece.fill(0xee);
    from = cut;
  }
  return { records, stopped: reader.stopped, lastEnd: reader.lastEnd };
}

export function copyRecord(record: WalRecord): WalRecord {
  const { start, end, totalLength, xid, info, rmid, major, data } = record;
  return { start, end, totalLength, xid, info, rmid, major, data };
}

export interface WalOfServer {
  readonly start: Lsn;
  readonly bytes: Buffer;
}

/** All segments in `pg_wal` of the timeline that follow each other without a gap, in one piece; recycled ones too. */
export async function walOfServer(
  dataDirectory: string,
  { timeline = 1, segmentBytes = 1 << 24 }: { timeline?: number; segmentBytes?: number } = {},
): Promise<WalOfServer> {
  const directory = join(dataDirectory, 'pg_wal');
  const found: WalOfServer[] = [];
  for (const name of (await readdir(directory)).toSorted()) {
    const parsed = parseWalFileName(name);
    if (parsed?.kind !== 'segment' || parsed.timeline !== timeline) continue;
    const start = segmentStart(parsed, segmentBytes);
    const last = found.at(-1);
    if (start === undefined || (last !== undefined && addToLsn(last.start, segmentBytes) !== start)) {
      throw new Error(`${name} does not follow`);
    }
    found.push({ start, bytes: await readFile(join(directory, name)) });
  }
  const [first] = found;
  if (first === undefined) throw new Error(`no WAL in ${directory}`);
  return { start: first.start, bytes: Buffer.concat(found.map(({ bytes }) => bytes)) };
}
