import assert from 'node:assert/strict';
import { test } from 'node:test';
import { systemClock } from '../../src/kernel/clock.ts';
import { silentLogger } from '../../src/kernel/log.ts';
import { verifyRepository } from '../../src/operations/verify.ts';
import { MemoryStorage } from '../../src/storage/memory/memory-storage.ts';
import { patternedBytes } from '../../testing/bytes.ts';
import {
  backUp,
  bytesSource,
  cacheDirectory,
  makeRepository,
  openTestRepository,
  readBack,
  silentProgress,
} from '../../testing/repository.ts';

test('many writers at once, with caches of their own or shared, all succeed', async () => {
  const storage = new MemoryStorage(systemClock);
  await (await makeRepository(storage, { encrypted: false }))[Symbol.asyncDispose]();
  const shared = cacheDirectory();
  const common = patternedBytes(2_000_000, 1);
  const writers = Array.from({ length: 6 }, async (_, writer) => {
    const cache = writer % 2 === 0 ? shared : cacheDirectory();
    const own = { common, own: patternedBytes(1_000_000, 100 + writer) };
    for (let round = 0; round < 3; round += 1) {
      await using repository = await openTestRepository(storage, { encrypted: false, cache });
      const manifest = await backUp(repository, bytesSource(own));
      assert.deepEqual(await readBack(repository, manifest), own);
    }
  });
  await Promise.all(writers);
  await using repository = await openTestRepository(storage, { encrypted: false });
  const names = await repository.names();
  assert.equal(names.length, 18);
  const signal = new AbortController().signal;
  const options = { signal, log: silentLogger, jobs: 1, progress: silentProgress, readData: true };
  assert.deepEqual((await verifyRepository(repository, options)).problems, []);
});

test('an abort in the middle ends the backup, leaves nothing visible, and the next one succeeds', async () => {
  const storage = new MemoryStorage(systemClock);
  await using repository = await makeRepository(storage, { encrypted: false });
  const contents = { big: patternedBytes(20_000_000, 3) };
  const controller = new AbortController();
  const source = bytesSource(contents);
  const aborting = {
    ...source,
    backup: async (context: Parameters<typeof source.backup>[0]) => {
      const outcome = await source.backup(context);
      controller.abort(new Error('stop'));
      return outcome;
    },
  };
  await assert.rejects(backUp(repository, aborting, { signal: controller.signal }), { message: 'stop' });
  assert.deepEqual(await repository.names(), []);
  const manifest = await backUp(repository, source);
  assert.deepEqual(await readBack(repository, manifest), contents);
});
