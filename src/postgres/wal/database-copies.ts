import { managers, walPageBytes } from './format.ts';
import { floorLsn, type Lsn } from '../lsn.ts';
import { WalRecordReader } from './reader.ts';
import { mainData } from './record-data.ts';
import type { WalRecord } from './record.ts';

/** Of `RM_DBASE_ID`: copying file by file, and dropping. Between them 15 put a copy that is logged page by page. */
const copyInfo = 0x00;
const dropInfo = { 14: 0x10, later: 0x20 } as const;
const infoMask = 0xf0;

const isOfDatabases = (rmid: number): boolean => rmid === managers.database;

/**
 * The OIDs of databases whose files were copied as a whole within a stretch of WAL, and the original dropped later in
 * it: `ALTER DATABASE … SET TABLESPACE` does so, and `CREATE DATABASE … STRATEGY file_copy` whose template is dropped
 * then. Recovery copies again, from what it finds: from files that were gone before they could be backed up it makes an
 * empty database. (`dbase_redo` in PostgreSQL's dbcommands.c; the same is true of every base backup.)
 */
export async function databasesLostByReplay(
  stretch: { readonly from: Lsn; readonly bytes: (from: Lsn) => AsyncIterable<Uint8Array> },
  expected: { readonly segmentBytes: number; readonly systemIdentifier: string },
): Promise<ReadonlySet<number>> {
  const copies = new Map<string, Set<number>>();
  const lost = new Set<number>();
  const start = floorLsn(stretch.from, walPageBytes);
  const reader = new WalRecordReader({ ...expected, start, wants: isOfDatabases });
  for await (const bytes of stretch.bytes(start))
    reader.add(bytes, (record) => {
      if (record.data !== undefined) look(record, copies, lost);
    });
  return lost;
}

function look(record: WalRecord, copies: Map<string, Set<number>>, lost: Set<number>): void {
  const data = mainData(record.data ?? new Uint8Array(), record.major);
  const kind = record.info & infoMask;
  if (data === undefined || data.byteLength < 8) return;
  const oid = (index: number): number => data.getUint32(4 * index, true);
  if (kind === copyInfo && data.byteLength >= 16) {
    const original = `${oid(3)}/${oid(2)}`;
    copies.set(original, (copies.get(original) ?? new Set()).add(oid(0)));
  } else if (kind === (record.major === 14 ? dropInfo[14] : dropInfo.later)) {
    const tablespaces = Math.min(oid(1), data.byteLength / 4 - 2);
    for (let index = 0; index < tablespaces; index += 1)
      for (const copy of copies.get(`${oid(2 + index)}/${oid(0)}`) ?? []) lost.add(copy);
  }
}
