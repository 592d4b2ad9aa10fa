import assert from 'node:assert/strict';
import { test } from 'node:test';
import { systemClock } from '../../src/kernel/clock.ts';
import type { BackupId } from '../../src/kernel/ids.ts';
import { highestSequence, snapshotObject } from '../../src/repository/layout.ts';
import { MemoryStorage } from '../../src/storage/memory/memory-storage.ts';
import { backUp, bytesSource, makeRepository } from '../../testing/repository.ts';

test('an object that takes the last number there is hides no backup that comes after it', async () => {
  const storage = new MemoryStorage(systemClock);
  await using repository = await makeRepository(storage);
  const made = [(await backUp(repository, bytesSource({ a: Buffer.from('one') }))).id];
  const squatter = 'f'.repeat(32) as BackupId;
  await storage.put(snapshotObject(highestSequence, Date.UTC(2020, 0, 1), squatter), Buffer.from('junk'));
  for (const words of ['two', 'three'])
    made.push((await backUp(repository, bytesSource({ a: Buffer.from(words) }))).id);
  const names = await repository.names({});
  assert.deepEqual(new Set(names.map(({ id }) => id)), new Set([...made, squatter]));
  assert.equal(names.at(-1)?.id, made.at(-1));
});
