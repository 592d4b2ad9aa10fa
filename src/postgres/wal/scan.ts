import { unscannedFacts, type RestorePoint, type WalFacts } from '../../contract/wal.ts';
import { addToLsn, formatLsn, type Lsn } from '../lsn.ts';
import { WalRecordReader } from './reader.ts';
import type { PageExpectations } from './page-check.ts';
import type { WalRecord } from './record.ts';
import { decodeRecord, isTarget } from './transactions.ts';

/** Finds out about WAL that comes in pieces of any size. It never throws for what is in them. */
export class WalScanner {
  readonly #expectations: PageExpectations;
  #reader: WalRecordReader | undefined;
  #next: Lsn | undefined;

  constructor(expectations: PageExpectations = {}) {
    this.#expectations = expectations;
  }

  /**
   * The facts about a piece that begins at `start`: of the records that end in it. When it follows the last one these
   * may begin there; else they begin behind its first beginning of a page.
   */
  scan(bytes: Uint8Array, start: Lsn): WalFacts {
    if (this.#reader === undefined || this.#reader.stopped !== undefined || start !== this.#next) {
      this.#reader = new WalRecordReader({ ...this.#expectations, start, wants: isTarget });
    }
    this.#next = addToLsn(start, bytes.length);
    return collectFacts(this.#reader, bytes);
  }
}

/** The facts about a stretch by itself: of the records that lie wholly in it, as far as that can be told. */
export function scanWal(bytes: Uint8Array, start: Lsn, expectations: PageExpectations = {}): WalFacts {
  return new WalScanner(expectations).scan(bytes, start);
}

function collectFacts(reader: WalRecordReader, bytes: Uint8Array): WalFacts {
  const points: RestorePoint[] = [];
  let transactions = 0;
  let first = Infinity;
  let last = -Infinity;
  reader.add(bytes, (record) => {
    const event = record.data === undefined ? undefined : decodeRecord(record);
    if (event?.kind === 'restore_point') addPoint(points, event, record);
    if (event?.kind !== 'commit' && event?.kind !== 'abort') return;
    transactions += 1;
    const atUs = Number(event.atUs);
    if (!Number.isSafeInteger(atUs)) return;
    first = Math.min(first, atUs);
    last = Math.max(last, atUs);
  });
  if (!reader.hasBegun) return unscannedFacts;
  const kind = reader.stopped?.kind;
  return {
    transactions,
    first_at_us: first === Infinity ? null : first,
    last_at_us: last === -Infinity ? null : last,
    restore_points: points,
    // Where nothing was written any more there is nothing that was not looked at.
    scanned: kind === undefined || kind === 'zeros' || kind === 'recycled',
  };
}

function addPoint(
  points: RestorePoint[],
  event: { readonly name: string; readonly atUs: bigint },
  record: WalRecord,
): void {
  const atUs = Number(event.atUs);
  if (Number.isSafeInteger(atUs)) points.push({ name: event.name, lsn: formatLsn(record.end), at_us: atUs });
}
