import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { walkRange, WalSeam, type WalBreak } from '../../src/operations/wal/verify-walk.ts';
import { lsnOf } from '../../src/postgres/lsn.ts';
import { WalWriter } from '../../testing/wal-writer.ts';

const start = lsnOf(0x300_0000n);
const segmentBytes = 1 << 20;
const expected = { timeline: 1, segmentBytes, systemIdentifier: '7000000000000000001' };

const records = fc.array(
  fc.oneof(
    { weight: 10, arbitrary: fc.integer({ min: 0, max: 300 }) },
    { weight: 3, arbitrary: fc.integer({ min: 300, max: 40_000 }) },
    { weight: 1, arbitrary: fc.integer({ min: 100_000, max: 700_000 }) },
    { weight: 1, arbitrary: fc.constant('switch' as const) },
  ),
  { minLength: 20, maxLength: 60 },
);
/** Sizes of the pieces that it is cut into, again and again; a big one among them bounds their number. */
const cuts = fc
  .array(
    fc.oneof(
      fc.integer({ min: 1, max: 30_000 }),
      fc.constant(8192),
      fc.integer({ min: 30_000, max: 400_000 }),
    ),
    { minLength: 1, maxLength: 12 },
  )
  .map((sizes) => [...sizes, 100_000]);

function write(lengths: readonly (number | 'switch')[]): WalWriter {
  const writer = new WalWriter({ start, segmentBytes });
  for (const length of lengths) {
    if (length === 'switch') writer.add({ rmid: 0, info: 0x40, data: Buffer.alloc(0) });
    else writer.add({ data: Buffer.alloc(length, 0xa5) });
  }
  return writer;
}

/** Pieces never cross the border of a segment, as units do not. */
function walk(
  bytes: Buffer,
  sizes: readonly number[],
): { readonly breaks: WalBreak[]; readonly stop: WalBreak | null } {
  const seam = new WalSeam(expected);
  const breaks: WalBreak[] = [];
  let at = 0;
  for (let index = 0; at < bytes.length; index += 1) {
    const size = Math.min(
      sizes[index % sizes.length] ?? 1,
      segmentBytes - (at % segmentBytes),
      bytes.length - at,
    );
    const broken = seam.add(walkRange(start + BigInt(at), bytes.subarray(at, at + size), expected));
    if (broken !== null) breaks.push(broken);
    at += size;
  }
  return { breaks, stop: seam.stop };
}

const options = { numRuns: 60 };

test('WAL in pieces is followed over their ends', () => {
  fc.assert(
    fc.property(records, cuts, (lengths, sizes) => {
      const writer = write(lengths);
      const end = Number(writer.position - start);
      assert.deepEqual(walk(writer.bytes().subarray(0, end), sizes).breaks, []);
    }),
    options,
  );
});

test('a flipped bit in any record but the last ones is named with the position of that record', () => {
  fc.assert(
    fc.property(records, cuts, fc.nat(), fc.nat(), (lengths, sizes, which, where) => {
      const writer = write(lengths);
      const bytes = writer.bytes();
      const plain = writer.records.filter(({ info }) => info !== 0x40);
      const record = plain[which % plain.length];
      if (record === undefined) return;
      const at = Number(record.start - start) + (where % record.total);
      if (at % 8192 < 40) return;
      // A length that grows past the end of the last page reads as a record that is not all there yet.
      if (record.start / 8192n >= (writer.position - 1n) / 8192n) return;
      bytes[at] = (bytes[at] ?? 0) ^ 4;
      const { breaks, stop } = walk(bytes.subarray(0, Number(writer.position - start)), sizes);
      const [first] = [...breaks, ...(stop === null ? [] : [stop])];
      assert.ok(first, 'nothing is told');
      assert.equal(first.at, record.start);
    }),
    options,
  );
});

test('records that are whole but not those that belong there are told apart', () => {
  const one = write([100_000, 200, 900_000, 100, 500_000, 300]).segment();
  const other = write([100_000, 210, 900_000, 100, 500_000, 300]).segment();
  const mixed = Buffer.concat([one.subarray(0, segmentBytes), other.subarray(segmentBytes)]);
  const { breaks } = walk(mixed, [segmentBytes]);
  assert.equal(breaks.length, 1);
  assert.equal(walk(one, [segmentBytes]).breaks.length, 0);
});
