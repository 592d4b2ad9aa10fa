import assert from 'node:assert/strict';
import { test } from 'node:test';
import { systemClock } from '../../src/kernel/clock.ts';
import { MemoryStorage } from '../../src/storage/memory/memory-storage.ts';
import type { Storage } from '../../src/storage/port.ts';
import { tryStorage } from '../../src/storage/trial.ts';
import type { FaultPlan } from '../../src/storage/wrap/fault-plan.ts';
import { withFaults } from '../../src/storage/wrap/faults.ts';
import { namesOf } from '../../testing/storage-conformance.ts';

const options = { id: 'abc', nowMs: systemClock.now() };

test('a storage that keeps its promises holds, and is left as it was', async () => {
  const storage = new MemoryStorage(systemClock);
  await storage.put('mine', Buffer.from('x'));
  const { held, failed, left } = await tryStorage(storage, options);
  assert.deepEqual([held.length, failed, left], [7, [], []]);
  assert.deepEqual(await namesOf(storage.list('')), ['mine']);
});

const lies: Readonly<Record<string, FaultPlan>> = {
  'what is stored comes back': ({ operation }) =>
    operation === 'put' ? { kind: 'short_write', keepBytes: 4 } : undefined,
  'ranges are read exactly': ({ operation, index }) =>
    operation === 'get' && index > 6 ? { kind: 'flip_bit', bit: 9 } : undefined,
  'listings are complete and in order': ({ operation }) =>
    operation === 'list' ? { kind: 'list_stale', hides: (name) => name.endsWith('5-a') } : undefined,
  'what is deleted is gone': ({ operation, name }) =>
    operation === 'delete' && name.endsWith('small') ? { kind: 'fail_before' } : undefined,
};

for (const [what, plan] of Object.entries(lies))
  test(`a storage that lies is found out: ${what}`, async () => {
    const { failed } = await tryStorage(withFaults(new MemoryStorage(systemClock), plan), options);
    assert.ok(
      failed.some((one) => one.what === what),
      JSON.stringify(failed),
    );
  });

test('a storage that overwrites, and one whose clock is off, are found out', async () => {
  const storage = new MemoryStorage(systemClock);
  const overwriting: Storage = {
    location: 'x',
    put: async (name, data) => {
      await storage.delete(name);
      await storage.put(name, data);
    },
    get: (name, range) => storage.get(name, range),
    stat: (name) => storage.stat(name),
    list: (prefix) => storage.list(prefix),
    delete: (name) => storage.delete(name),
    foreign: () => storage.foreign(),
    close: () => storage.close(),
  };
  const { failed } = await tryStorage(overwriting, { ...options, nowMs: options.nowMs + 3 * 86_400_000 });
  assert.deepEqual(
    failed.map(({ what }) => what),
    ['nothing is overwritten', 'sizes and times are told'],
  );
});
