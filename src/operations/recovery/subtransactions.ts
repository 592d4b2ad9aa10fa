import { transactionHasFlags } from '../../postgres/wal/format.ts';
import { mainData } from '../../postgres/wal/record-data.ts';
import type { WalRecord } from '../../postgres/wal/record.ts';

/** Flags of what the record of a commit or abort contains. */
const has = { database: 1, subtransactions: 2 };

/**
 * Whether a transaction ended as a part of the one whose commit or abort this is: a savepoint, or a block of PL/pgSQL that
 * catches exceptions. Rows tell its number (`xmin`), and PostgreSQL does not stop at it.
 */
export function endsWithin(record: WalRecord, xid: number): boolean {
  if (record.data === undefined || (record.info & transactionHasFlags) === 0) return false;
  const main = mainData(record.data, record.major);
  if (main === undefined || main.byteLength < 12) return false;
  const flags = main.getUint32(8, true);
  const at = (flags & has.database) === 0 ? 12 : 20;
  if ((flags & has.subtransactions) === 0 || at + 4 > main.byteLength) return false;
  const count = Math.min(main.getUint32(at, true), (main.byteLength - at - 4) / 4);
  for (let index = 1; index <= count; index += 1)
    if (main.getUint32(at + index * 4, true) === xid) return true;
  return false;
}
