import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { addToLsn, lsnOf, parseLsn, type Lsn } from '../../src/postgres/lsn.ts';
import { WalRecordReader, type WalReaderOptions } from '../../src/postgres/wal/reader.ts';
import type { WalRecord } from '../../src/postgres/wal/record.ts';
import { readWal } from '../../testing/wal-files.ts';
import {
  WalWriter,
  type NewRecord,
  type WalWriterOptions,
  type WrittenRecord,
} from '../../testing/wal-writer.ts';

const mebibyte = 1 << 20;
const start = lsnOf(0x7_fff0_0000n);

const recordOf = (rmid: number, length: number, fill = 0x41): NewRecord => ({
  rmid,
  xid: length,
  data: Buffer.alloc(length, fill),
});

/** Small ones, some of a page and some of several. */
const lengths = fc.array(
  fc.oneof(
    { weight: 6, arbitrary: fc.nat(200) },
    { weight: 2, arbitrary: fc.integer({ min: 7000, max: 9000 }) },
    { weight: 1, arbitrary: fc.integer({ min: 20_000, max: 40_000 }) },
  ),
  { minLength: 1, maxLength: 40 },
);

function written(sizes: readonly number[], options: { start?: Lsn; segmentBytes?: number } = {}): WalWriter {
  const writer = new WalWriter({ start, ...options });
  for (const [index, size] of sizes.entries()) writer.add(recordOf(10 + (index % 3), size, index));
  return writer;
}

function shape(record: WalRecord): WrittenRecord {
  const { start, end, totalLength, xid, rmid, info } = record;
  return { start, end, total: totalLength, xid, rmid, info };
}

test('what was written is read, however it is cut', () => {
  fc.assert(
    fc.property(lengths, fc.array(fc.nat(400_000), { maxLength: 12 }), fc.boolean(), (sizes, cuts, fine) => {
      const writer = written(sizes);
      const bytes = writer.bytes();
      const places = cuts.map((cut) => cut % bytes.length);
      // A stretch byte by byte as well.
      if (fine) for (let at = 8100; at < 8300 && at < bytes.length; at += 1) places.push(at);
      const read = readWal(bytes, { start, wants: (rmid) => rmid === 11 }, places);
      assert.deepEqual(read.records.map(shape), writer.records);
      for (const record of read.records) {
        const expected = record.rmid === 11 ? record.totalLength - 24 : undefined;
        assert.equal(record.data?.length, expected);
        assert.ok(record.data?.every((byte) => byte === record.data?.[0]) ?? true);
      }
      assert.equal(read.lastEnd, writer.position);
    }),
    { numRuns: 150 },
  );
});

test('reading may begin at any page: the first record that begins behind it is the first one', () => {
  fc.assert(
    fc.property(lengths, fc.nat(400_000), (sizes, place) => {
      const writer = written(sizes);
      const bytes = writer.bytes();
      const from = place % bytes.length;
      const border = addToLsn(start, Math.ceil(from / 8192) * 8192);
      const read = readWal(bytes.subarray(from), { start: addToLsn(start, from) });
      assert.deepEqual(
        read.records.map(shape),
        writer.records.filter((record) => record.start >= border),
      );
    }),
  );
});

test('reading may begin at a record in the middle of a page', () => {
  const writer = written([100, 9000, 100, 30, 50]);
  const [, , third] = writer.records;
  assert.ok(third !== undefined);
  const bytes = writer.bytes().subarray(Number(third.start - start));
  const read = readWal(bytes, { start: lsnOf(third.start), startsAtRecord: true });
  assert.deepEqual(read.records.map(shape), writer.records.slice(2));
});

test('a record of many megabytes that is not wanted costs no memory', () => {
  const writer = new WalWriter({ start });
  writer.add(recordOf(10, 20 * mebibyte));
  writer.add(recordOf(11, 5));
  const bytes = writer.bytes();
  const before = process.memoryUsage().arrayBuffers;
  const reader = new WalRecordReader({ start });
  let largest = 0;
  for (let at = 0; at < bytes.length; at += 100_000) {
    reader.add(bytes.subarray(at, at + 100_000), () => undefined);
    largest = Math.max(largest, process.memoryUsage().arrayBuffers - before);
  }
  assert.equal(reader.lastEnd, writer.position);
  assert.ok(largest < 2 * mebibyte, `${largest} bytes`);
});

test('a switch ends its segment, whatever stands in the rest of it', () => {
  const writer = written([100, 200]);
  writer.add({ rmid: 0, info: 0x40, data: Buffer.alloc(0) });
  const switchedAt = Number((writer.records.at(-1)?.start ?? 0n) - start) + 24;
  writer.add(recordOf(12, 300));
  const bytes = writer.bytes();
  bytes.fill(0x5a, switchedAt, mebibyte);
  const read = readWal(bytes, { start }, [5000, 700_000, mebibyte + 3]);
  assert.deepEqual(read.records.map(shape), writer.records);
  assert.equal(read.records[2]?.end, addToLsn(start, mebibyte));
});

test('behind a switch the next segment is found though its size is not known', () => {
  const writer = written([9000, 100], { segmentBytes: 4 * mebibyte, start: parseLsn('8/0') as Lsn });
  writer.add({ rmid: 0, info: 0x40, data: Buffer.alloc(0) });
  writer.add(recordOf(12, 300));
  const from = 8192;
  const read = readWal(writer.bytes().subarray(from), { start: lsnOf(0x8_0000_0000n + BigInt(from)) });
  const found = read.records.map(({ start }) => start);
  assert.deepEqual(
    found,
    writer.records.slice(1).map(({ start }) => start),
  );
  assert.equal(read.records[0]?.end, writer.records[1]?.end);
});

test('a record that a crash broke off is passed over when the next page says so', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 20_000 }),
      fc.nat(8100),
      fc.nat(40_000),
      (stopAfter, before, cut) => {
        const writer = written([before, 100]);
        const page = Number(writer.position - start) % 8192;
        // It must have come to the end of its page at least.
        writer.add(recordOf(11, 30_000), Math.max(stopAfter, 8192 - page));
        writer.overwrite();
        writer.add(recordOf(12, 40));
        const read = readWal(writer.bytes(), { start, wants: () => true }, [cut % writer.bytes().length]);
        assert.deepEqual(read.records.map(shape), writer.records);
        // Behind the last record its page is empty.
        assert.deepEqual([read.stopped?.kind, read.stopped?.at], ['zeros', writer.position]);
      },
    ),
  );
});

test('the end of what was written is told: zeros, an old page, a record that was not finished', () => {
  const writer = written([100, 200]);
  const end = writer.position;
  const zeros = readWal(writer.segment(), { start });
  assert.deepEqual([zeros.stopped?.kind, zeros.stopped?.at], ['zeros', end]);
  assert.match(zeros.stopped?.reason ?? '', /nothing was written from here on: at 7\/FFF0/);

  const broken = new WalWriter({ start });
  broken.add(recordOf(10, 100));
  const begin = broken.position;
  broken.add(recordOf(11, 9000), 8192 - 40 - 128);
  const nothing = readWal(Buffer.concat([broken.bytes(), Buffer.alloc(8192)]), { start });
  assert.deepEqual([nothing.stopped?.kind, nothing.stopped?.at], ['zeros', begin]);
  const old = new WalWriter({ start: lsnOf(start - BigInt(mebibyte)) });
  old.add(recordOf(10, 20_000));
  const recycled = readWal(Buffer.concat([broken.bytes(), old.bytes().subarray(8192)]), { start });
  assert.deepEqual([recycled.stopped?.kind, recycled.stopped?.at], ['recycled', begin]);
  const other = written([20, 20, 7000, 3000]);
  const unlike = readWal(Buffer.concat([broken.bytes(), other.bytes().subarray(8192)]), { start });
  assert.deepEqual([unlike.stopped?.kind, unlike.stopped?.at], ['continuation', begin]);
});

test('a page of another cluster, version, timeline or segment size ends it', () => {
  const first = written(Array.from({ length: 130 }, () => 8100)).bytes();
  assert.ok(first.length > mebibyte);
  const next = lsnOf(0x8_0000_0000n);
  // Alone, for what is expected; behind another segment, for a change.
  const cases: [string, Partial<WalWriterOptions>, Partial<WalReaderOptions>, boolean][] = [
    ['foreign', { systemIdentifier: 5n }, {}, false],
    ['foreign', {}, { systemIdentifier: '5' }, true],
    ['foreign', { magic: 0xd118 }, {}, false],
    ['foreign', { timeline: 3 }, { timeline: 2 }, true],
    ['foreign', { segmentBytes: 2 * mebibyte }, { segmentBytes: mebibyte }, false],
    ['unknown', { magic: 0xd119 }, {}, true],
  ];
  for (const [kind, differing, expected, alone] of cases) {
    const other = new WalWriter({ start: next, ...differing });
    other.add(recordOf(10, 10));
    const both = Buffer.concat([first.subarray(0, mebibyte), other.bytes()]);
    const read = readWal(alone ? other.bytes() : both, { start: alone ? next : start, ...expected });
    assert.equal(read.stopped?.kind, kind, JSON.stringify(expected));
    assert.equal(readWal(other.bytes(), { start: next }).stopped?.kind, kind === 'unknown' ? kind : 'zeros');
  }
});

test('every bit that changes is noticed at the record it is in', () => {
  const writer = written([40, 120, 8000, 60, 3]);
  const bytes = Buffer.concat([writer.bytes(), Buffer.alloc(8192)]);
  const mayChange = [...writer.records.entries()].flatMap(([index, record]) => bitsOf(record, index));
  assert.ok(mayChange.length > 10_000);
  for (const { at, bit, index } of mayChange) {
    bytes[at] = (bytes[at] ?? 0) ^ (1 << bit);
    const { records, stopped } = readWal(bytes, { start });
    bytes[at] = (bytes[at] ?? 0) ^ (1 << bit);
    assert.equal(records.length, index, `bit ${bit} of byte ${at}`);
    assert.equal(stopped?.at, writer.records[index]?.start, `bit ${bit} of byte ${at}`);
  }
});

/** Every bit of a record's beginning and end, and one of each byte between; none in headers of pages. */
function bitsOf(record: WrittenRecord, index: number): { at: number; bit: number; index: number }[] {
  const bits: { at: number; bit: number; index: number }[] = [];
  let at = Number(record.start - start);
  for (let got = 0; got < record.total; at += 1) {
    if (at % 8192 === 0) at += 24;
    const all = got < 200 || got > record.total - 200;
    for (let bit = 0; bit < 8; bit += 1) if (all || bit === at % 8) bits.push({ at, bit, index });
    got += 1;
  }
  return bits;
}

test('odd bytes give no error, and no record', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 30_000 }), fc.nat(3), (noise, pages) => {
      const good = written([100, 9000, 9000, 9000]).bytes();
      const bytes = Buffer.concat([good.subarray(0, pages * 8192), noise]);
      const count = readWal(bytes, { start }).records.length;
      assert.ok(count <= 4);
      assert.equal(readWal(noise, { start }).records.length, 0);
    }),
  );
});
