import assert from 'node:assert/strict';
import { test } from 'node:test';
import { systemClock } from '../../src/kernel/clock.ts';
import { silentLogger } from '../../src/kernel/log.ts';
import { backupSource } from '../../src/operations/backup.ts';
import type { BackupSource } from '../../src/operations/contract.ts';
import { defaultCompression } from '../../src/pipeline/codec.ts';
import { MemoryStorage } from '../../src/storage/memory/memory-storage.ts';
import { makeRepository, origin, silentProgress } from '../../testing/repository.ts';
import { writeTask } from './write-task.ts';

const size = 10_000_000;

/** A source of which every stream is written by a worker, one for each seed. */
function sourceOf(seeds: readonly number[]): BackupSource {
  return {
    name: 'tasks',
    kind: 'test',
    backup: async (context) => {
      for (const seed of seeds) {
        const onProgress = (bytes: number): void => context.progress.advance(bytes);
        const stream = await context.run(writeTask, { seed, sizeBytes: size }, { onProgress });
        await context.addEntry({ path: `${seed}`, kind: 'test.bytes', stream, meta: {} });
      }
      return { metadata: {}, warnings: [] };
    },
  };
}

test('while it runs, a backup tells what it has read and how much of that was new', async () => {
  await using repository = await makeRepository(new MemoryStorage(systemClock), { encrypted: false });
  const backUp = async (seeds: readonly number[]) => {
    const told = { read: 0, stored: 0, times: 0 };
    const progress = {
      ...silentProgress,
      advance: (bytes: number) => void (told.read += bytes),
      stored: (bytes: number) => {
        told.stored += bytes;
        told.times += 1;
      },
    };
    const { stats } = await backupSource(repository, sourceOf(seeds), {
      signal: new AbortController().signal,
      log: silentLogger,
      jobs: 1,
      progress,
      clock: systemClock,
      compression: defaultCompression,
      tags: {},
      origin,
    });
    return { ...told, stats };
  };
  const first = await backUp([1, 2, 1]);
  assert.equal(first.read, 3 * size);
  // The list of entries is not read from the source, and small.
  const untold = first.stats.bytes_new - first.stored;
  assert.ok(first.stored > size && untold >= 0 && untold < 5000, `${untold} bytes are untold`);
  assert.ok(first.times > 3, `told ${first.times} times`);
  assert.deepEqual((await backUp([1, 2])).stored, 0);
});
