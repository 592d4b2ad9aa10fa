import assert from 'node:assert/strict';
import { createHmac, hash, randomBytes } from 'node:crypto';
import { test } from 'node:test';
import fc from 'fast-check';
import { newRepositoryId } from '../../src/kernel/ids.ts';
import { BlobHasher, blobTypes } from '../../src/pipeline/blob.ts';
import { codecs, Compressor, decompress, type CodecName } from '../../src/pipeline/codec.ts';
import { deriveKeys, type PipelineKeys, type SealMode } from '../../src/pipeline/keys.ts';
import { headerWithSalt, newObject, ObjectSeal, saltOfHeader, SealError } from '../../src/pipeline/seal.ts';

const id = newRepositoryId();
const keysOf = (mode: SealMode, master = Buffer.alloc(32, 7)): PipelineKeys => deriveKeys(master, id, mode);
const sealed = (pieces: readonly Uint8Array[]): Uint8Array => Buffer.concat(pieces);

for (const mode of ['aes-256-gcm', 'plain'] as const) {
  test(`what is sealed opens, and in no other way (${mode})`, () => {
    const keys = keysOf(mode);
    const { header } = newObject(keys, 'pack');
    const bytes = fc.uint8Array({ maxLength: 300 });
    fc.assert(
      fc.property(bytes, bytes, fc.nat(1_000_000), fc.nat(), (data, additional, position, flip) => {
        const seal = new ObjectSeal(keys, header);
        const stored = sealed(seal.seal(position, additional, data));
        assert.deepEqual(Buffer.from(seal.open(position, additional, stored)), Buffer.from(data));
        const refuses = (open: () => unknown): void => assert.throws(open, SealError);
        refuses(() => seal.open(position + 1, additional, stored));
        refuses(() => seal.open(position, Buffer.concat([additional, Buffer.of(0)]), stored));
        refuses(() => seal.open(position, additional, stored.subarray(0, stored.length - 1)));
        const damaged = Uint8Array.from(stored);
        const bit = flip % (damaged.length * 8);
        damaged[bit >> 3] = (damaged[bit >> 3] ?? 0) ^ (1 << (bit & 7));
        refuses(() => seal.open(position, additional, damaged));
        refuses(() => newObject(keys, 'pack').seal.open(position, additional, stored));
        const asIndex = headerWithSalt(keys, 'index', header.subarray(28, 60));
        refuses(() => new ObjectSeal(keys, asIndex).open(position, additional, stored));
        const otherKeys = keysOf(mode, Buffer.alloc(32, 8));
        refuses(() => new ObjectSeal(otherKeys, header).open(position, additional, stored));
      }),
      { numRuns: 60 },
    );
  });
}

test('a header says what is wrong with it', () => {
  const keys = keysOf('aes-256-gcm');
  const { header } = newObject(keys, 'manifest');
  assert.equal(saltOfHeader(keys, 'manifest', header).length, 32);
  const other = deriveKeys(Buffer.alloc(32), newRepositoryId(), 'aes-256-gcm');
  const cases: [RegExp, () => unknown][] = [
    [/not of type pack/, () => saltOfHeader(keys, 'pack', header)],
    [/another repository/, () => saltOfHeader(other, 'manifest', header)],
    [/shorter than its header/, () => saltOfHeader(keys, 'manifest', header.subarray(0, 63))],
    [/does not begin/, () => saltOfHeader(keys, 'manifest', Buffer.alloc(64))],
  ];
  for (const [message, read] of cases) assert.throws(read, message);
});

test('a blob id is the HMAC that the format describes', () => {
  const key = randomBytes(32);
  const data = randomBytes(1000);
  for (const type of Object.values(blobTypes)) {
    const inner = hash('sha256', data, 'buffer');
    const expected = createHmac('sha256', key).update(Buffer.of(type)).update(inner).digest();
    assert.deepEqual(Buffer.from(new BlobHasher(key).idOf(type, data)), expected);
  }
});

test('every codec gives back what it was given, and never more than it was promised', () => {
  for (const codec of Object.keys(codecs) as CodecName[]) {
    const compressor = new Compressor({ codec, level: 1 });
    for (const raw of [
      Buffer.alloc(0),
      Buffer.from('x'),
      Buffer.alloc(500_000, 'abc'),
      randomBytes(100_000),
    ]) {
      const packed = compressor.compress(raw);
      assert.deepEqual(Buffer.from(decompress(packed.codec, packed.data, raw.length)), raw);
      if (raw.length > 100) {
        assert.throws(() => decompress(packed.codec, packed.data, raw.length - 1));
        assert.throws(() => decompress(packed.codec, packed.data, raw.length + 1));
      }
    }
  }
  const random = randomBytes(100_000);
  assert.equal(new Compressor({ codec: 'zstd', level: 3 }).compress(random).codec, codecs.none);
  assert.throws(() => decompress(9, random, random.length), /unknown codec 9/);
});
