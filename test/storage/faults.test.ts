import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MemoryStorage } from '../../src/storage/memory/memory-storage.ts';
import type { Storage } from '../../src/storage/port.ts';
import {
  atCalls,
  crashAtMutation,
  everyNth,
  passingFaults,
  type FaultPlan,
} from '../../src/storage/wrap/fault-plan.ts';
import { withFaults } from '../../src/storage/wrap/faults.ts';
import { withRetry } from '../../src/storage/wrap/retry.ts';
import { assertSame, namesOf, pattern, rejectsWith } from '../../testing/storage-conformance.ts';
import { seededRandom, TestClock } from './support.ts';

function rig(plan: FaultPlan): { inner: MemoryStorage; storage: Storage; clock: TestClock } {
  const clock = new TestClock();
  const inner = new MemoryStorage(clock);
  return { inner, storage: withFaults(inner, plan, clock), clock };
}

test('fail_before leaves no trace, fail_after does it and says it failed', async () => {
  const { inner, storage } = rig(atCalls({ 1: { kind: 'fail_before' }, 2: { kind: 'fail_after' } }));
  await rejectsWith('storage_unreachable', storage.put('a', pattern(1, 1)));
  assert.deepEqual(await namesOf(inner.list('')), []);
  await rejectsWith('storage_unreachable', storage.put('a', pattern(1, 1)));
  assert.deepEqual(await namesOf(inner.list('')), ['a']);
});

test('a plan may give the error', async () => {
  const error = new Error('mine');
  const { storage } = rig(everyNth(1, { kind: 'fail_before', error }));
  await assert.rejects(storage.stat('a'), error);
});

test('short_write lies, flip_bit and truncate change what is read and nothing else', async () => {
  const { inner, storage } = rig(
    atCalls({
      1: { kind: 'short_write', keepBytes: 3 },
      3: { kind: 'flip_bit', bit: 8 * 10 + 2 },
      4: { kind: 'truncate', keepBytes: 7 },
      6: { kind: 'flip_bit', bit: 4 },
    }),
  );
  const data = pattern(100, 1);
  await storage.put('short', data);
  assertSame(await inner.get('short'), data.subarray(0, 3));
  await storage.put('a', data);
  const flipped = await storage.get('a');
  assert.equal((flipped[10] ?? 0) ^ (data[10] ?? 0), 4);
  assert.equal(flipped.filter((byte, i) => byte !== data[i]).length, 1);
  assertSame(await storage.get('a'), data.subarray(0, 7));
  assertSame(await storage.get('a'), data);
  await inner.put('empty', new Uint8Array(0));
  assert.equal((await storage.get('empty')).byteLength, 0);
});

test('a list fails where the plan says, also at its very end; a stale one ends as if complete', async () => {
  const { inner, storage } = rig(
    atCalls({
      1: { kind: 'list_fail', items: 1 },
      2: { kind: 'list_fail', items: 100 },
      3: { kind: 'list_stale', hides: (name) => name === 'b' },
    }),
  );
  for (const name of ['a', 'b', 'c']) await inner.put(name, pattern(1, 1));
  for (const expected of [['a'], ['a', 'b', 'c']]) {
    const seen: string[] = [];
    const read = async (): Promise<void> => {
      for await (const info of storage.list('')) seen.push(info.name);
    };
    await rejectsWith('storage_unreachable', read());
    assert.deepEqual(seen, expected);
  }
  assert.deepEqual(await namesOf(storage.list('')), ['a', 'c']);
  assert.deepEqual(await namesOf(storage.list('')), ['a', 'b', 'c']);
});

test('a delay waits by the injected clock and ends with the signal', async () => {
  const { inner, storage, clock } = rig(everyNth(1, { kind: 'delay', ms: 5000 }));
  await inner.put('a', pattern(1, 1));
  await storage.get('a');
  assert.deepEqual(clock.sleeps, [5000]);
  const reason = new Error('enough');
  await assert.rejects(storage.get('a', { signal: AbortSignal.abort(reason) }), reason);
  await assert.rejects(withFaults(inner, everyNth(1, { kind: 'delay', ms: 1 })).get('a'), TypeError);
});

for (const applied of [true, false]) {
  test(`after a crash at the second change (${applied ? 'applied' : 'not applied'}) nothing works any more`, async () => {
    const { inner, storage } = rig(crashAtMutation(2, applied));
    await storage.put('a', pattern(1, 1));
    await storage.get('a');
    await rejectsWith('storage_unreachable', storage.put('b', pattern(1, 1)));
    assert.deepEqual(await namesOf(inner.list('')), applied ? ['a', 'b'] : ['a']);
    await rejectsWith('storage_unreachable', storage.get('a'));
    await rejectsWith('storage_unreachable', storage.stat('a'));
    await rejectsWith('storage_unreachable', storage.delete('a'));
    await rejectsWith('storage_unreachable', namesOf(storage.list('')));
  });
}

test('a listing under way ends at a crash', async () => {
  const { inner, storage } = rig(crashAtMutation(1, true));
  for (const name of ['a', 'b']) await inner.put(name, pattern(1, 1));
  const read = async (): Promise<void> => {
    for await (const info of storage.list(''))
      await storage.put(`${info.name}-`, pattern(1, 1)).catch(() => 'crashed');
  };
  await rejectsWith('storage_unreachable', read());
});

test('whatever passes, a retry above it gets over', async () => {
  const seed = Math.floor(Math.random() * 2 ** 31);
  const random = seededRandom(seed);
  const clock = new TestClock();
  const faulty = withFaults(new MemoryStorage(clock), passingFaults(random, 0.3), clock);
  const storage = withRetry(faulty, { clock, random, attempts: 20 });
  const names = Array.from({ length: 100 }, (_, i) => `n/${String(i).padStart(3, '0')}`);
  for (const [i, name] of names.entries()) await storage.put(name, pattern(1000, i));
  for (const name of names.slice(0, 20)) await storage.delete(name);
  for (const [i, name] of names.entries()) if (i >= 20) assertSame(await storage.get(name), pattern(1000, i));
  assert.deepEqual(await namesOf(storage.list('')), names.slice(20), `seed ${seed}`);
  assert.ok(clock.sleeps.length > 20, `seed ${seed}`);
});
