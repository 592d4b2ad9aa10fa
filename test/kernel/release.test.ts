import assert from 'node:assert/strict';
import { test } from 'node:test';
import { buffersToMove, release } from '../../src/kernel/release.ts';

test('what is released is empty in every view', () => {
  const bytes = new Uint8Array(100_000);
  const view = bytes.subarray(10, 20);
  release(view);
  assert.equal(bytes.length, 0);
  assert.equal(view.length, 0);
  release(bytes);
});

test('the pool that small buffers share is left alone', () => {
  const small = Buffer.from('small');
  const neighbour = Buffer.allocUnsafe(8).fill(7);
  assert.equal(small.buffer, neighbour.buffer);
  release(small);
  assert.equal(small.toString(), 'small');
  assert.deepEqual(buffersToMove([small, neighbour]), []);
});

test('a buffer of several pieces moves once', () => {
  const bytes = new Uint8Array(100_000);
  const other = new Uint8Array(5000);
  const moved = buffersToMove([bytes.subarray(0, 10), other, bytes.subarray(50), new Uint8Array(0)]);
  assert.deepEqual(moved, [bytes.buffer, other.buffer]);
});
