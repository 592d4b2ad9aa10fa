import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { test } from 'node:test';
import fc from 'fast-check';
import { CopyScanner, type CopyResult } from '../../src/pipeline/copy-scanner.ts';

const mask = 2n ** 64n - 1n;
const scanner = new CopyScanner({ intSize: 4 });

function rotl(value: bigint, bits: bigint): bigint {
  const low = value & mask;
  return ((low << bits) | (low >> (64n - bits))) & mask;
}

/** The definition in the class's documentation, word by word. */
function referenceHash(row: Uint8Array): bigint {
  const padded = Buffer.alloc(Math.floor(row.length / 8) * 8 + 8);
  padded.set(row);
  let hash = 0x18f2274b8a6917d5n;
  for (let at = 0; at < padded.length; at += 8) {
    const word = rotl(padded.readBigUInt64LE(at) * 0xb0ae361667181147n, 31n) * 0xdfe6bb7b41970fc5n;
    hash = (rotl(hash ^ (word & mask), 27n) * 0x8cd2c41d93e7a491n) & mask;
  }
  return hash ^ BigInt(row.length);
}

function referenceAvalanche(hash: bigint, d: bigint, e: bigint): bigint {
  const once = ((hash ^ (hash >> 32n)) * d) & mask;
  const twice = ((once ^ (once >> 29n)) * e) & mask;
  return twice ^ (twice >> 32n);
}

function reference(data: Uint8Array): CopyResult {
  let [rows, bytes, first, second] = [0, 0, 0n, 0n];
  for (let at = 0; at < data.length;) {
    const newline = data.indexOf(10, at);
    const end = newline < 0 ? data.length : newline;
    const row = data.subarray(at, end);
    if (Buffer.from(row).toString('latin1') === '\\.') break;
    const hash = referenceHash(row);
    first += referenceAvalanche(hash, 0xbb3fd2e26e232013n, 0x5fae839ff48d7d7dn);
    second += referenceAvalanche(hash, 0x10b4d446cf509ce9n, 0x862b9d9077072383n);
    rows++;
    at = newline < 0 ? data.length : newline + 1;
    bytes += row.length + (newline < 0 ? 0 : 1);
  }
  const digits = (sum: bigint): string => (sum & mask).toString(16).padStart(16, '0');
  return { rows, bytes, fingerprint: digits(first) + digits(second) };
}

function frame(pieces: readonly Uint8Array[]): Buffer {
  const header = (length: number): Buffer => {
    const bytes = Buffer.alloc(5);
    bytes.writeUInt32LE(length, 1);
    return bytes;
  };
  const parts = pieces.filter((piece) => piece.length > 0).flatMap((piece) => [header(piece.length), piece]);
  return Buffer.concat([...parts, header(0)]);
}

/** Cuts `data` into parts of the given sizes, over and over. */
function split(data: Uint8Array, sizes: readonly number[]): Uint8Array[] {
  const parts: Uint8Array[] = [];
  for (let at = 0, turn = 0; at < data.length; turn++) {
    const size = sizes[turn % sizes.length] ?? data.length;
    parts.push(data.subarray(at, at + size));
    at += size;
  }
  return parts;
}

function scanPlain(data: Uint8Array, sizes: readonly number[] = []): CopyResult {
  scanner.reset();
  for (const part of split(data, sizes)) scanner.pushPlain(part);
  return scanner.result();
}

interface Framed extends CopyResult {
  readonly content: Buffer;
  readonly left: number;
  readonly ended: boolean;
}

function scanFramed(data: Uint8Array, sizes: readonly number[] = []): Framed {
  scanner.reset();
  const contents: Buffer[] = [];
  let taken = 0;
  let ended = false;
  for (const part of split(data, sizes)) {
    for (let at = 0; at < part.length && !ended;) {
      const step = scanner.pushFramed(part.subarray(at));
      contents.push(Buffer.from(step.content));
      ended = step.ended;
      at += step.consumed;
      taken += step.consumed;
    }
  }
  return { ...scanner.result(), content: Buffer.concat(contents), left: data.length - taken, ended };
}

// Mostly what matters: newlines, the end mark, bytes one off a newline, and bytes with the high bit set.
const byte = fc.oneof(fc.constantFrom(10, 10, 9, 11, 0x8a, 0x5c, 0x2e), fc.integer({ min: 0, max: 255 }));
const rawText = fc.array(byte, { maxLength: 400 }).map((bytes) => Uint8Array.from(bytes));
const lines = fc
  .array(fc.string({ maxLength: 40 }), { maxLength: 30 })
  .map((all) => Buffer.from(all.join('\n')));
const marked = fc.tuple(lines, rawText).map(([a, b]) => Buffer.concat([a, Buffer.from('\n\\.\n'), b]));
const text = fc.oneof(rawText, lines, marked);
const sizes = fc.array(fc.integer({ min: 1, max: 40 }), { minLength: 1, maxLength: 20 });

test('agrees with its definition, however the input is split', () => {
  fc.assert(
    fc.property(text, sizes, (data, list) => {
      const expected = reference(data);
      assert.deepEqual(scanPlain(data), expected);
      assert.deepEqual(scanPlain(data, list), expected);
      // A result in the middle forces the scan of what is there, and must not change what follows.
      scanner.reset();
      for (const part of split(data, list)) {
        scanner.pushPlain(part);
        scanner.result();
      }
      assert.deepEqual(scanner.result(), expected);
    }),
    { numRuns: 2000 },
  );
});

test('framed input gives its content and the result of its content, however pieces and calls are split', () => {
  fc.assert(
    fc.property(text, sizes, sizes, rawText, (data, pieces, calls, after) => {
      const framed = Buffer.concat([frame(split(data, pieces)), after]);
      const { content, left, ended, ...result } = scanFramed(framed, calls);
      assert.deepEqual(content, Buffer.from(data));
      assert.deepEqual(result, reference(data));
      assert.ok(ended);
      assert.equal(left, after.length);
    }),
    { numRuns: 2000 },
  );
});

test('the fingerprint stays what it has always been', () => {
  const table = Array.from({ length: 1000 }, (_, i) => `${i}\tname ${i * i}\t\\N\tgrüße ${i % 7}\n`).join('');
  for (const [input, rows, fingerprint] of [
    ['', 0, '00000000000000000000000000000000'],
    ['\n', 1, 'f14b2970b4b54ab222a2b7fcb32a88f2'],
    ['1\n', 1, 'd51cbc06f00bcfd1eba9872faf6ecf11'],
    ['12345678\n', 1, 'd1c77cf8b94c6fe24dfd9f12b31e9e0d'],
    ['1\tone\t\\N\n2\ttwo\tt\n', 2, '58dd2e6cacd38ec59411a6476e979d8d'],
    [table, 1000, '5a561b9b2a894fbd1594e4fbea2e882e'],
  ] as const) {
    const bytes = Buffer.from(input);
    assert.deepEqual(
      scanPlain(bytes),
      { rows, bytes: bytes.length, fingerprint },
      JSON.stringify(input.slice(0, 40)),
    );
  }
});

test('neither order nor a missing last newline matters, anything else does', () => {
  const rows = Array.from(
    { length: 500 },
    (_, i) => `${i}\t${createHash('md5').update(`${i}`).digest('hex')}`,
  );
  const all = (list: readonly string[], end = '\n'): string =>
    scanPlain(Buffer.from(list.join('\n') + end)).fingerprint;
  const expected = all(rows);
  assert.equal(all(rows.toReversed()), expected);
  assert.equal(all(rows, ''), expected);
  const seen = new Set([expected, all(rows.slice(1)), all([...rows, '']), all([...rows, rows[0] ?? ''])]);
  assert.equal(seen.size, 4);
  const first = Buffer.from(rows.join('\n'));
  for (let at = 0; at < 300; at++) {
    const changed = Buffer.from(first);
    changed[at] = (changed[at] ?? 0) ^ 0x40;
    seen.add(scanPlain(changed).fingerprint);
  }
  assert.equal(seen.size, 304);
});

test('changes of two words at once do not cancel out', () => {
  // Single bytes of neighbouring words: what a hash that mixes too little per word is blind to.
  const seen = new Set<string>();
  const row = Buffer.alloc(16, 'a');
  for (const [i, j] of [
    [7, 8],
    [7, 11],
    [7, 15],
    [3, 11],
    [0, 8],
  ] as const) {
    for (let a = 0x30; a < 0x50; a++) {
      for (let b = 0x30; b < 0x50; b++) {
        const changed = Buffer.from(row);
        changed[i] = a;
        changed[j] = b;
        const { fingerprint } = scanPlain(changed);
        seen.add(fingerprint.slice(0, 16)).add(fingerprint.slice(16));
      }
    }
  }
  assert.equal(seen.size, 2 * 5 * 32 * 32);
});

test('rows and pieces longer than the staging areas', () => {
  const long = createHash('shake256', { outputLength: 1_500_000 })
    .update('long')
    .digest()
    .map((b) => b | 0x10);
  const data = Buffer.concat([Buffer.from('a\n'), long, Buffer.from('\nb\n'), long.subarray(7)]);
  const expected = reference(data);
  assert.equal(expected.rows, 4);
  assert.deepEqual(scanPlain(data), expected);
  assert.deepEqual(scanPlain(data, [300_001, 5, 77_777]), expected);
  for (const pieces of [[], [262_144], [100, 600_000, 513, 511, 512]]) {
    const { content, ended, left, ...result } = scanFramed(frame(split(data, pieces)), [999_999, 1, 3]);
    assert.ok(content.equals(data));
    assert.deepEqual(result, expected);
    assert.deepEqual([ended, left], [true, 0]);
  }
});

test('a block cut short is not ended', () => {
  const framed = frame([Buffer.from('one\n'), Buffer.from('two\n')]);
  for (let length = 0; length < framed.length; length++) {
    assert.equal(scanFramed(framed.subarray(0, length), [3]).ended, false);
  }
  assert.equal(scanFramed(framed, [3]).ended, true);
});

test('impossible lengths are refused wherever the call ends', () => {
  const bad: readonly (readonly [number[], RegExp])[] = [
    [[1, 5, 0, 0, 0], /negative/],
    [[2, 5, 0, 0, 0], /negative/],
    [[1, 0, 0, 0, 0], /negative/],
    [[0, 0, 0, 0, 0x80], /longer/],
    [[0, 255, 255, 255, 255], /longer/],
  ];
  for (const [header, message] of bad) {
    const data = Buffer.concat([
      frame([Buffer.from('row\n')]).subarray(0, 9),
      Buffer.from(header),
      Buffer.alloc(20),
    ]);
    for (const list of [[], [1], [10], [9, 3]]) assert.throws(() => scanFramed(data, list), message);
    assert.throws(() => scanner.pushFramed(data), /reset/);
  }
  scanner.reset();
  const longest = scanner.pushFramed(Uint8Array.of(0, 255, 255, 255, 127, 65, 66));
  assert.deepEqual([longest.consumed, longest.content.length, longest.ended], [7, 2, false]);
});

test('reset starts anew, and nothing goes on after the end without it', () => {
  const framed = frame([Buffer.from('one\n')]);
  const { ended, ...first } = scanFramed(framed);
  assert.ok(ended);
  assert.throws(() => scanner.pushFramed(framed), /reset/);
  assert.deepEqual(scanFramed(framed), { ...first, ended });
  assert.throws(() => scanFramed(Uint8Array.of(1, 1, 0, 0, 0)), /negative/);
  assert.deepEqual(scanFramed(framed), { ...first, ended });
  scanner.pushPlain(Buffer.from('left over'));
  scanner.reset();
  assert.deepEqual(scanner.result(), { rows: 0, bytes: 0, fingerprint: '0'.repeat(32) });
});

test('small plain inputs are taken in order with framed ones', () => {
  scanner.reset();
  scanner.pushPlain(Buffer.from('a\nb'));
  scanner.pushFramed(frame([Buffer.from('c\n')]));
  scanner.pushPlain(Buffer.from('d\n'));
  assert.deepEqual(scanner.result(), reference(Buffer.from('a\nbc\nd\n')));
});

test('refuses archives with integers of another size', () => {
  assert.throws(() => new CopyScanner({ intSize: 8 }), /8 bytes/);
});
