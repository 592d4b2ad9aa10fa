import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { pathBytes, pathText } from '../../src/kernel/byte-path.ts';

/** Bytes in which everything that needs care is frequent. */
const names = fc
  .array(
    fc.oneof(
      fc.uint8Array({ maxLength: 4 }),
      fc.string({ unit: 'binary', maxLength: 4 }).map((text) => Buffer.from(text)),
      fc
        .constantFrom('%', '%25', '%41', '%FF', '\n', '\u007F', '\uFFFD', '\uFEFF', 'é', '😀', '/')
        .map((text) => Buffer.from(text)),
      fc
        .constantFrom([0xc3], [0xa9], [0xed, 0xa0, 0x80], [0xc0, 0xaf], [0xf0, 0x9f], [0xef, 0xbf, 0xbd])
        .map((bytes) => Buffer.from(bytes)),
    ),
    { maxLength: 6 },
  )
  .map((pieces) => Buffer.concat(pieces));

test('every name has a text that gives its bytes back', () => {
  fc.assert(
    fc.property(names, (bytes) => {
      assert.deepEqual(pathBytes(pathText(bytes)), bytes);
    }),
    { numRuns: 3000 },
  );
});

test('no two names have the same text, and no text holds a control character', () => {
  fc.assert(
    fc.property(names, names, (one, other) => {
      assert.equal(pathText(one) === pathText(other), one.equals(other));
      // eslint-disable-next-line no-control-regex
      assert.doesNotMatch(pathText(one), /[\u0000-\u001F\u007F]/);
    }),
    { numRuns: 3000 },
  );
});

test('texts are joined as their names are', () => {
  fc.assert(
    fc.property(names, names, (one, other) => {
      const joined = Buffer.concat([one, Buffer.from('/'), other]);
      assert.equal(pathText(joined), `${pathText(one)}/${pathText(other)}`);
    }),
  );
});

test('ordinary names look ordinary', () => {
  for (const name of ['a b', 'größe', '日本語', '😀.png', "it's", '\uFFFD', '\uFEFFx'])
    assert.equal(pathText(Buffer.from(name)), name);
  assert.equal(pathText(Buffer.from('100%')), '100%25');
  assert.equal(pathText(Buffer.from('a\nb')), 'a%0Ab');
  assert.equal(pathText(Buffer.from([0x61, 0xff, 0xc3])), 'a%FF%C3');
});

test('a percent sign that is no escape stands for itself', () => {
  assert.equal(pathBytes('100% sure %zz %4').toString(), '100% sure %zz %4');
  assert.equal(pathBytes('%e2%82%AC').toString(), '€');
});
