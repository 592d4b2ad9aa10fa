import assert from 'node:assert/strict';
import { open, readdir } from 'node:fs/promises';
import { join } from 'node:path';
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

const signal = new AbortController().signal;
const verifying = { signal, log: silentLogger, jobs: 1, progress: silentProgress, readData: true };
const contents = { a: patternedBytes(300_000, 1), b: patternedBytes(300_000, 2) };

async function copyOf(storage: MemoryStorage): Promise<MemoryStorage> {
  const copy = new MemoryStorage(systemClock);
  for await (const { name } of storage.list('')) await copy.put(name, await storage.get(name));
  return copy;
}

async function packsOf(storage: MemoryStorage): Promise<string[]> {
  const names: string[] = [];
  for await (const { name } of storage.list('packs/')) names.push(name);
  return names;
}

test('copies of a repository share a cache, and neither is taken for the other', async () => {
  const cache = cacheDirectory();
  const whole = new MemoryStorage(systemClock);
  await using first = await makeRepository(whole, { cache });
  const backup = await backUp(first, bytesSource(contents));
  const broken = await copyOf(whole);
  const [pack] = await packsOf(broken);
  assert.ok(pack !== undefined);
  await broken.delete(pack);

  await using second = await openTestRepository(broken, { cache });
  const lost = await verifyRepository(second, verifying);
  assert.ok(lost.problems.some(({ backups }) => backups.includes(backup.id)));
  assert.deepEqual((await verifyRepository(first, verifying)).problems, []);

  // And the other way round: what is there in one is not thought to be there in the other.
  await using third = await openTestRepository(whole, { cache });
  await third.cache();
  assert.ok((await verifyRepository(second, verifying)).problems.length > 0);

  const again = await backUp(second, bytesSource(contents));
  await backUp(third, bytesSource({ ...contents, c: patternedBytes(100_000, 3) }));
  assert.deepEqual(await readBack(second, again), contents);
  for (const repository of [first, second]) assert.deepEqual(await readBack(repository, backup), contents);
});

test('a damaged cache is made anew', async () => {
  const cache = cacheDirectory();
  const storage = new MemoryStorage(systemClock);
  {
    await using repository = await makeRepository(storage, { cache });
    await backUp(repository, bytesSource(contents));
  }
  const [directory] = await readdir(cache);
  const path = join(cache, directory ?? '', 'index.sqlite');
  {
    await using file = await open(path, 'r+');
    const { size } = await file.stat();
    for (let at = 4096; at < size; at += 512) await file.write(Buffer.alloc(400, 0x5a), 0, 400, at);
  }
  await using repository = await openTestRepository(storage, { cache });
  const backup = await backUp(repository, bytesSource(contents));
  assert.deepEqual(await readBack(repository, backup), contents);
  assert.equal((await packsOf(storage)).length, 1, 'nothing was stored again');
});
