import assert from 'node:assert/strict';
import { test } from 'node:test';
import { systemClock } from '../../src/kernel/clock.ts';
import { failure, isFailure } from '../../src/kernel/errors/failure.ts';
import type { BackupSource } from '../../src/operations/contract.ts';
import { snapshotsPrefix } from '../../src/repository/layout.ts';
import { MemoryStorage } from '../../src/storage/memory/memory-storage.ts';
import { backUp, bytesSource, makeRepository, readBack } from '../../testing/repository.ts';

const content = { a: Buffer.alloc(300_000, 'a'), b: Buffer.from('b') };

/** Stores everything and then fails, so many times. */
function failing(times: number, error: Error): BackupSource & { readonly begun: () => number } {
  const inner = bytesSource(content);
  let begun = 0;
  return {
    ...inner,
    begun: () => begun,
    backup: async (context) => {
      const outcome = await inner.backup(context);
      begun += 1;
      if (begun <= times) throw error;
      return outcome;
    },
  };
}

const moved = failure('cluster_database_moved', { server: 'here', databases: 'app' });

test('what passes by itself begins the backup anew, and nothing of what failed is left in it', async () => {
  const storage = new MemoryStorage(systemClock);
  await using repository = await makeRepository(storage);
  const source = failing(2, moved);
  const manifest = await backUp(repository, source);
  assert.equal(source.begun(), 3);
  assert.deepEqual(await readBack(repository, manifest), content);
  assert.equal((await Array.fromAsync(repository.entries(manifest))).length, 2);
  assert.equal((await Array.fromAsync(storage.list(snapshotsPrefix))).length, 1);
});

test('it gives up in the end, and at once for what does not pass', async () => {
  await using repository = await makeRepository(new MemoryStorage(systemClock));
  const often = failing(9, moved);
  await assert.rejects(backUp(repository, often), (error) => isFailure(error, 'cluster_database_moved'));
  assert.equal(often.begun(), 3);
  const other = failing(1, failure('cluster_promoted', { server: 'here' }));
  await assert.rejects(backUp(repository, other), (error) => isFailure(error, 'cluster_promoted'));
  assert.equal(other.begun(), 1);
});
