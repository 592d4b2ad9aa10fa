import assert from 'node:assert/strict';
import { test } from 'node:test';
import { nearest } from '../../src/kernel/nearest.ts';

test('only what is near is named', () => {
  for (const [word, candidates, near] of [
    ['to0', ['to', 'only'], 'to'],
    ['too', ['only', 'to'], 'to'],
    ['Restor', ['restore', 'list'], 'restore'],
    ['pahts', ['paths', 'path'], 'paths'],
    ['since', ['source', 'limit'], undefined],
    ['a', ['ab'], 'ab'],
    ['x', ['.', 'y'], undefined],
    ['', ['a'], undefined],
  ] as const)
    assert.equal(nearest(word, candidates), near, word);
});
