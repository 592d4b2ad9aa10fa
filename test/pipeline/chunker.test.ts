import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { test } from 'node:test';
import fc from 'fast-check';
import { ContentChunker } from '../../src/pipeline/chunker.ts';

const smallest = 16_384;
const gearTable = pseudoRandom('gear', 2048);
const small = new ContentChunker({ averageBytes: smallest, gearTable, capacityBytes: 3 * 4 * smallest });

function pseudoRandom(seed: string, length: number): Buffer {
  return createHash('shake256', { outputLength: length }).update(seed).digest();
}

/** Cuts `data` as a writer would that is handed pieces of the sizes `sizes` yields, moving leftovers to the front. */
function cutLengths(
  chunker: ContentChunker,
  data: Uint8Array,
  sizes: () => number = () => Infinity,
): number[] {
  const lengths: number[] = [];
  let given = 0;
  let from = 0;
  let to = 0;
  for (;;) {
    if (to === chunker.buffer.length) {
      chunker.buffer.copyWithin(0, from, to);
      to -= from;
      from = 0;
    }
    const part = data.subarray(given, given + Math.min(sizes(), chunker.buffer.length - to));
    chunker.buffer.set(part, to);
    given += part.length;
    to += part.length;
    const final = given === data.length;
    for (let cut = chunker.nextCut(from, to, final); cut > 0; cut = chunker.nextCut(from, to, final)) {
      lengths.push(cut);
      from += cut;
    }
    if (final) return lengths;
  }
}

/** The definition in the class's documentation, word by word. */
function referenceLengths(data: Uint8Array, averageBytes: number): number[] {
  const gear = Array.from({ length: 256 }, (_, byte) => gearTable.readBigUInt64LE(byte * 8));
  const average = BigInt(averageBytes);
  const lengths: number[] = [];
  for (let from = 0; from < data.length;) {
    const end = Math.min(data.length - from, averageBytes * 4);
    let length = Math.min(averageBytes / 4, end);
    let hash = 0n;
    for (let at = Math.max(0, length - 64); at < length; at++) hash = roll(hash, gear, data[from + at]);
    while (length < end && hash >= (16 * length < 13 * averageBytes ? 2n ** 62n : 2n ** 66n) / average) {
      hash = roll(hash, gear, data[from + length++]);
    }
    lengths.push(length);
    from += length;
  }
  return lengths;
}

function roll(hash: bigint, gear: readonly bigint[], byte = 0): bigint {
  return BigInt.asUintN(64, 2n * hash + (gear[byte] ?? 0n));
}

function contentIds(data: Uint8Array): Map<string, number> {
  const ids = new Map<string, number>();
  let at = 0;
  for (const length of cutLengths(small, data)) {
    ids.set(
      createHash('sha256')
        .update(data.subarray(at, at + length))
        .digest('hex'),
      length,
    );
    at += length;
  }
  return ids;
}

test('cuts where its documentation says', () => {
  const input = fc.record({
    seed: fc.string(),
    length: fc.integer({ min: 0, max: 200_000 }),
    mask: fc.constantFrom(0xff, 0xff, 0x0f, 0x01, 0x00),
  });
  const property = fc.property(input, ({ seed, length, mask }) => {
    const data = pseudoRandom(seed, length).map((byte) => byte & mask);
    assert.deepEqual(cutLengths(small, data), referenceLengths(data, smallest));
  });
  fc.assert(property, { numRuns: 40, examples: [[{ seed: '', length: 0, mask: 255 }]] });
});

test('cuts stay where they have always been', () => {
  const chunker = new ContentChunker({ averageBytes: 65_536, gearTable, capacityBytes: 524_288 });
  const lengths = cutLengths(chunker, pseudoRandom('golden', 1_000_000));
  assert.equal(createHash('sha256').update(lengths.join()).digest('hex').slice(0, 16), '3fc645650ecb1c33');
});

test('how the input is handed over does not matter', () => {
  const data = pseudoRandom('splits', 1_500_000).fill(0x20, 300_000, 500_000);
  const whole = cutLengths(small, data);
  const sizes = fc.array(fc.oneof(fc.integer({ min: 1, max: 100 }), fc.integer({ min: 1, max: 150_000 })), {
    minLength: 1,
    maxLength: 50,
  });
  const property = fc.property(sizes, (list) => {
    // At least 1 KiB a round, so that lists of tiny sizes do not take for ever.
    const cycle = [...list, 1024];
    let turn = 0;
    assert.deepEqual(
      cutLengths(small, data, () => cycle[turn++ % cycle.length] ?? 1),
      whole,
    );
  });
  fc.assert(property, { numRuns: 100 });
});

test('an insertion or a deletion changes only chunks near by', () => {
  const data = pseudoRandom('edits', 4_000_000);
  const before = contentIds(data);
  const edit = fc.record({
    at: fc.integer({ min: 500_000, max: 3_000_000 }),
    removed: fc.integer({ min: 0, max: 500 }),
    inserted: fc.uint8Array({ minLength: 1, maxLength: 500 }),
  });
  let changed = 0;
  const property = fc.property(edit, ({ at, removed, inserted }) => {
    const after = contentIds(Buffer.concat([data.subarray(0, at), inserted, data.subarray(at + removed)]));
    const fresh = [...after].filter(([id]) => !before.has(id)).reduce((sum, [, length]) => sum + length, 0);
    assert.ok(fresh <= 16 * smallest, `${fresh} bytes changed`);
    changed += fresh;
  });
  fc.assert(property, { numRuns: 50 });
  assert.ok(changed / 50 < 1.5 * smallest, `an edit costs ${changed / 50} bytes on average`);
});

test('sizes keep their bounds and crowd around the mean', () => {
  for (const averageBytes of [16_384, 65_536]) {
    const chunker = new ContentChunker({ averageBytes, gearTable, capacityBytes: averageBytes * 8 });
    const lengths = cutLengths(chunker, pseudoRandom(`sizes ${averageBytes}`, averageBytes * 1000));
    assert.ok(
      lengths.slice(0, -1).every((length) => length >= chunker.minBytes && length <= chunker.maxBytes),
    );
    const sum = lengths.reduce((total, length) => total + length, 0);
    assert.equal(sum, averageBytes * 1000);
    const mean = sum / lengths.length;
    assert.ok(Math.abs(mean / averageBytes - 1) < 0.15, `mean ${mean} for ${averageBytes}`);
    const cost = lengths.reduce((total, length) => total + length ** 2, 0) / sum;
    assert.ok(cost < 1.2 * averageBytes, `a changed byte costs ${cost} for ${averageBytes}`);
  }
});

test('content without cuts gives the largest chunks, and the end what is left', () => {
  const { maxBytes } = small;
  assert.deepEqual(cutLengths(small, new Uint8Array(2 * maxBytes + 1)), [maxBytes, maxBytes, 1]);
});

/** 64 bytes whose hash is from `low` up to `high`. */
function windowWithHash(low: bigint, high: bigint): Uint8Array {
  const gear = Array.from({ length: 256 }, (_, byte) => gearTable.readBigUInt64LE(byte * 8));
  const data = pseudoRandom('windows', 400_000);
  let hash = 0n;
  for (let at = 0; at < data.length; at++) {
    hash = roll(hash, gear, data[at]);
    if (at >= 63 && hash >= low && hash < high) return data.subarray(at - 63, at + 1);
  }
  throw new Error('no such window');
}

test('each threshold holds from the first to the last length it is for', () => {
  const strict = 2n ** 62n / BigInt(smallest);
  const weak = windowWithHash(strict, 16n * strict);
  const strong = windowWithHash(0n, strict);
  const { minBytes, maxBytes } = small;
  const normal = (smallest / 16) * 13;
  const firstLength = (window: Uint8Array, end: number): number | undefined => {
    const data = new Uint8Array(2 * maxBytes);
    data.set(window, end - 64);
    return cutLengths(small, data)[0];
  };
  assert.equal(firstLength(strong, minBytes - 1), maxBytes);
  assert.equal(firstLength(strong, minBytes), minBytes);
  assert.equal(firstLength(weak, minBytes), maxBytes);
  assert.equal(firstLength(strong, normal - 1), normal - 1);
  assert.equal(firstLength(weak, normal - 1), maxBytes);
  assert.equal(firstLength(weak, normal), normal);
  assert.equal(firstLength(weak, maxBytes - 1), maxBytes - 1);
});

test('a chunk left undecided does not touch the next one after reset', () => {
  const data = pseudoRandom('reset', 150_000);
  small.buffer.fill(0);
  assert.equal(small.nextCut(0, 4 * smallest - 1, false), 0);
  small.reset();
  assert.deepEqual(cutLengths(small, data), referenceLengths(data, smallest));
});

test('refuses options and places out of bounds', () => {
  const good = { averageBytes: smallest, gearTable, capacityBytes: 8 * smallest };
  for (const bad of [
    { averageBytes: 20_000 },
    { averageBytes: 8192 },
    { averageBytes: 2_097_152 },
    { gearTable: gearTable.subarray(1) },
    { capacityBytes: 4 * smallest - 1 },
  ]) {
    assert.throws(() => new ContentChunker({ ...good, ...bad }), RangeError);
  }
  assert.throws(() => small.nextCut(2, 1, true), RangeError);
  assert.throws(() => small.nextCut(-1, 1, true), RangeError);
  assert.throws(() => small.nextCut(0, small.buffer.length + 1, true), RangeError);
  assert.equal(small.nextCut(7, 7, true), 0);
});
