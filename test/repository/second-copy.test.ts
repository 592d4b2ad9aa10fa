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
  makeRepository,
  openTestRepository,
  readBack,
  silentProgress,
} from '../../testing/repository.ts';

const signal = new AbortController().signal;
const verifying = { signal, log: silentLogger, jobs: 1, progress: silentProgress, readData: true };
const contents = { a: patternedBytes(300_000, 1), b: patternedBytes(300_000, 2) };

async function packsOf(storage: MemoryStorage): Promise<string[]> {
  const names: string[] = [];
  for await (const { name } of storage.list('packs/')) names.push(name);
  return names;
}

async function replace(storage: MemoryStorage, name: string, bytes: Uint8Array): Promise<void> {
  await storage.delete(name);
  await storage.put(name, bytes);
}

/** A repository of one backup, whose pack is good in `good` and damaged where it is. */
async function damagedRepository() {
  const storage = new MemoryStorage(systemClock);
  const repository = await makeRepository(storage);
  const first = await backUp(repository, bytesSource(contents));
  const [name] = await packsOf(storage);
  assert.ok(name !== undefined);
  const good = await storage.get(name);
  const bad = Uint8Array.from(good);
  for (const at of [200, 40_000, 100_000]) bad[at] = (bad[at] ?? 0) ^ 0xff;
  await replace(storage, name, bad);
  return { storage, repository, first, name, good };
}

test('a backup after damage was found stores anew what was damaged, and mends the backups before it', async () => {
  const { storage, repository, first, name, good } = await damagedRepository();
  await using _closing = repository;
  const before = await verifyRepository(repository, verifying);
  assert.ok(before.problems.some(({ backups }) => backups.includes(first.id)));
  const second = await backUp(repository, bytesSource(contents));
  for (const backup of [first, second]) assert.deepEqual(await readBack(repository, backup), contents);

  const after = await verifyRepository(repository, verifying);
  assert.ok(after.problems.length > 0, 'the damaged pack is still named');
  for (const { object, backups } of after.problems) assert.deepEqual([object, backups], [name, []]);

  // Elsewhere nothing is known of the damage: a reader comes upon it, and goes on with the other copy.
  await using elsewhere = await openTestRepository(storage);
  for (const backup of [first, second]) assert.deepEqual(await readBack(elsewhere, backup), contents);

  await replace(storage, name, good);
  assert.deepEqual((await verifyRepository(repository, verifying)).problems, []);
});

test('damage that a restore comes upon is remembered by the next backup', async () => {
  const { repository, first } = await damagedRepository();
  await using _closing = repository;
  await assert.rejects(readBack(repository, first), { errorName: 'blob_damaged' });
  await assert.rejects(readBack(repository, first), { errorName: 'blob_damaged' });
  await backUp(repository, bytesSource(contents));
  // What lay behind the first damaged chunk was not read, and may be damaged too: once more each.
  for (let attempt = 0; attempt < 3; attempt += 1) {
    try {
      assert.deepEqual(await readBack(repository, first), contents);
      return;
    } catch {
      await backUp(repository, bytesSource(contents));
    }
  }
  assert.fail('the damage was not mended');
});
