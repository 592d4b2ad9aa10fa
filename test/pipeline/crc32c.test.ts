import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  crc32c,
  crc32cBegin,
  finishCrc32c,
  withChecksumStage,
  type ChecksumStage,
} from '../../src/pipeline/wasm-crc32c.ts';

test('the checksums are those of the standard', () => {
  assert.equal(crc32c(Buffer.from('123456789')), 0xe3069283);
  assert.equal(crc32c(Buffer.alloc(32)), 0x8a9136aa);
  assert.equal(crc32c(Buffer.alloc(32, 0xff)), 0x62a8ab43);
  assert.equal(crc32c(Buffer.alloc(0)), 0);
});

test('the fast way gives what the definition gives, for any length and however it is cut', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 600 }), fc.nat(600), (bytes, cut) => {
      assert.equal(crc32c(bytes), slowly(bytes));
      assert.equal(withChecksumStage(inTwo(bytes, Math.min(cut, bytes.length))), slowly(bytes));
    }),
  );
});

test('more than fits the stage is taken in pieces, and calls may be nested', () => {
  const bytes = Buffer.alloc(600_001, 'something longer than the stage');
  const expected = slowly(bytes);
  assert.equal(crc32c(bytes), expected);
  const nested = withChecksumStage((stage) => {
    stage.bytes.set(Buffer.from('123456789'));
    assert.equal(crc32c(bytes), expected);
    return finishCrc32c(stage.update(crc32cBegin, 0, 9));
  });
  assert.equal(nested, 0xe3069283);
});

function inTwo(bytes: Uint8Array, cut: number) {
  return (stage: ChecksumStage) => {
    stage.bytes.set(bytes);
    return finishCrc32c(stage.update(stage.update(crc32cBegin, 0, cut), cut, bytes.length - cut));
  };
}

/** The definition, a bit at a time. */
function slowly(bytes: Uint8Array): number {
  let crc = 0xffff_ffff;
  for (const byte of bytes) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit += 1) crc = (crc >>> 1) ^ ((crc & 1) === 1 ? 0x82f63b78 : 0);
  }
  return ~crc >>> 0;
}
