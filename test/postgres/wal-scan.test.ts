import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { unscannedFacts, walFactsSchema } from '../../src/contract/wal.ts';
import { addToLsn, formatLsn, lsnOf } from '../../src/postgres/lsn.ts';
import { scanWal, WalScanner } from '../../src/postgres/wal/scan.ts';
import { decodeRecord } from '../../src/postgres/wal/transactions.ts';
import { WalWriter, type NewRecord } from '../../testing/wal-writer.ts';

const start = lsnOf(0x1_0000_0000n);
const epochDifferenceUs = 946_684_800_000_000n;

/** Short main data: a length of one byte before it. */
function short(...parts: readonly Uint8Array[]): Buffer {
  const main = Buffer.concat(parts);
  return Buffer.concat([Buffer.from([255, main.length]), main]);
}

function moment(atUs: bigint): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeBigInt64LE(atUs - epochDifferenceUs);
  return bytes;
}

const commit = (atUs: bigint): NewRecord => ({ rmid: 1, xid: 9, info: 0, data: short(moment(atUs)) });
const abort = (atUs: bigint): NewRecord => ({ rmid: 1, xid: 9, info: 0x20, data: short(moment(atUs)) });
const point = (atUs: bigint, name: string): NewRecord => {
  return {
    rmid: 0,
    info: 0x70,
    data: short(moment(atUs), Buffer.from(name), Buffer.alloc(64 - name.length)),
  };
};
const filler = (length: number): NewRecord => ({ data: Buffer.alloc(length) });

test('commits, aborts and restore points are told', () => {
  const writer = new WalWriter({ start });
  for (const record of [
    filler(9000),
    commit(50n),
    abort(20n),
    point(7n, 'here'),
    filler(9000),
    commit(30n),
  ]) {
    writer.add(record);
  }
  const facts = scanWal(writer.bytes(), start);
  assert.deepEqual(facts, {
    transactions: 3,
    first_at_us: 20,
    last_at_us: 50,
    restore_points: [{ name: 'here', lsn: formatLsn(lsnOf(writer.records[3]?.end ?? 0n)), at_us: 7 }],
    scanned: true,
  });
  assert.deepEqual(walFactsSchema.parse(facts), facts);
});

test('pieces that follow each other lose nothing; by itself a piece is told from its first page on', () => {
  const writer = new WalWriter({ start });
  for (let index = 0; index < 2000; index += 1) writer.add(commit(BigInt(index)));
  const bytes = writer.bytes();
  fc.assert(
    fc.property(fc.integer({ min: 100, max: bytes.length }), fc.nat(5), (size, gap) => {
      const scanner = new WalScanner();
      let transactions = 0;
      for (let at = 0; at < bytes.length; at += size) {
        transactions += scanner.scan(bytes.subarray(at, at + size), addToLsn(start, at)).transactions;
      }
      assert.equal(transactions, 2000);
      const from = gap * 8000 + 1;
      const border = addToLsn(start, Math.ceil(from / 8192) * 8192);
      const alone = new WalScanner();
      alone.scan(bytes.subarray(0, 1000), start);
      assert.equal(
        alone.scan(bytes.subarray(from), addToLsn(start, from)).transactions,
        writer.records.filter((record) => record.start >= border).length,
      );
    }),
    { numRuns: 30 },
  );
});

test('what cannot be looked at is not said to have been', () => {
  const future = new WalWriter({ start, magic: 0xd1ff });
  future.add(commit(1n));
  assert.deepEqual(scanWal(future.bytes(), start), unscannedFacts);
  const known = new WalWriter({ start });
  known.add(commit(1n));
  known.add(commit(2n));
  // In the middle of a page it cannot be told where a record begins.
  assert.deepEqual(scanWal(known.bytes().subarray(48), addToLsn(start, 48)), unscannedFacts);
  assert.deepEqual(scanWal(new Uint8Array(0), start), unscannedFacts);
  assert.equal(scanWal(known.segment(), start).scanned, true);
  const damaged = known.bytes();
  const secondAt = Number((known.records[1]?.start ?? 0n) - start);
  damaged.fill(0, secondAt + 26, secondAt + 30);
  const facts = scanWal(damaged, start);
  assert.deepEqual([facts.scanned, facts.transactions], [false, 1]);
  // The next piece is looked at again.
  const scanner = new WalScanner();
  scanner.scan(damaged, start);
  const next = new WalWriter({ start: addToLsn(start, 1 << 20) });
  next.add(commit(3n));
  assert.equal(scanner.scan(next.bytes(), addToLsn(start, 1 << 20)).transactions, 1);
});

test('odd records give facts that hold their form, and no error', () => {
  fc.assert(
    fc.property(
      fc.array(fc.record({ rmid: fc.nat(2), info: fc.nat(255), data: fc.uint8Array({ maxLength: 120 }) })),
      fc.nat(4),
      (records, version) => {
        const magic = [0xd10d, 0xd110, 0xd113, 0xd116, 0xd118][version] ?? 0;
        const writer = new WalWriter({ start, magic });
        for (const record of records) writer.add(record);
        walFactsSchema.parse(scanWal(writer.bytes(), start));
      },
    ),
    { numRuns: 500 },
  );
  // Decoding goes by lengths in the record: none may lead out of it.
  fc.assert(
    fc.property(
      fc.nat(1),
      fc.constantFrom(0, 0x10, 0x30, 0x40, 0x50, 0x60, 0x70, 0x90, 0xa0, 0xb0, 0xc0, 0xf0),
      fc.uint8Array({ maxLength: 250 }),
      fc.constantFrom(14, 15, 18, undefined),
      (rmid, info, main, major) => {
        for (const data of [short(main), Buffer.concat([Buffer.from([254]), main]), main]) {
          decodeRecord({ start, end: start, totalLength: 24 + data.length, xid: 3, info, rmid, major, data });
        }
      },
    ),
    { numRuns: 2000 },
  );
});

test('a stretch of noise gives no error', () => {
  fc.assert(
    fc.property(
      fc.uint8Array({ maxLength: 20_000 }),
      fc.bigInt({ min: 0n, max: 1n << 50n }),
      (noise, lsn) => {
        assert.equal(scanWal(noise, lsnOf(lsn)).transactions, 0);
      },
    ),
  );
});
