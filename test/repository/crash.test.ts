import assert from 'node:assert/strict';
import { test } from 'node:test';
import { systemClock } from '../../src/kernel/clock.ts';
import type { Storage } from '../../src/storage/port.ts';
import { silentLogger } from '../../src/kernel/log.ts';
import { verifyRepository } from '../../src/operations/verify.ts';
import { MemoryStorage } from '../../src/storage/memory/memory-storage.ts';
import { atCalls, crashAtMutation, type Fault } from '../../src/storage/wrap/fault-plan.ts';
import { withFaults } from '../../src/storage/wrap/faults.ts';
import { withRetry } from '../../src/storage/wrap/retry.ts';
import { patternedBytes } from '../../testing/bytes.ts';
import {
  backUp,
  bytesSource,
  makeRepository,
  openTestRepository,
  readBack,
  silentProgress,
} from '../../testing/repository.ts';

const before = { first: patternedBytes(300_000, 10) };
/** Enough for three packs. */
const after = { first: before.first, second: patternedBytes(40_000_000, 11) };
const verifyAll = {
  signal: new AbortController().signal,
  log: silentLogger,
  jobs: 1,
  progress: silentProgress,
  readData: true,
};

async function storageWithOneBackup(): Promise<MemoryStorage> {
  const storage = new MemoryStorage(systemClock);
  await using repository = await makeRepository(storage, { encrypted: false });
  await backUp(repository, bytesSource(before));
  return storage;
}

async function copyOf(storage: MemoryStorage): Promise<MemoryStorage> {
  const copy = new MemoryStorage(systemClock);
  for await (const { name } of storage.list('')) await copy.put(name, await storage.get(name));
  return copy;
}

test('a crash at every write of a backup leaves only whole backups, and the next one succeeds', async () => {
  const start = await storageWithOneBackup();
  let finished = false;
  for (let mutation = 1; !finished; mutation += 1) {
    assert.ok(mutation < 50, 'the backup never got through');
    for (const applied of [false, true]) {
      const storage = await copyOf(start);
      finished = await backUpThrough(storage, mutation, applied);
      await assertEverythingVisibleIsWhole(storage);
      await assertNextBackupSucceeds(storage);
    }
  }
});

/** True when the backup reported success. */
async function backUpThrough(storage: MemoryStorage, mutation: number, applied: boolean): Promise<boolean> {
  await using repository = await openTestRepository(withFaults(storage, crashAtMutation(mutation, applied)));
  const names = await repository.names();
  try {
    await backUp(repository, bytesSource(after));
  } catch {
    const visible = await openTestRepository(storage).then((opened) => opened.names());
    assert.ok(visible.length <= names.length + (applied ? 1 : 0), 'a backup is visible that never finished');
    return false;
  }
  return true;
}

async function assertEverythingVisibleIsWhole(storage: MemoryStorage): Promise<void> {
  await using repository = await openTestRepository(storage);
  const report = await verifyRepository(repository, verifyAll);
  assert.deepEqual(report.problems, []);
  for (const name of await repository.names()) {
    const contents = await readBack(repository, await repository.manifest(name));
    assert.deepEqual(contents, 'second' in contents ? after : before);
  }
}

async function assertNextBackupSucceeds(storage: MemoryStorage): Promise<void> {
  await using repository = await openTestRepository(storage);
  const manifest = await backUp(repository, bytesSource(after));
  assert.deepEqual(await readBack(repository, manifest), after);
}

test('what an interrupted backup stored is not stored again', async () => {
  const storage = await storageWithOneBackup();
  // The second pack is the last thing that gets through.
  assert.equal(await backUpThrough(storage, 2, true), false);
  await using repository = await openTestRepository(storage);
  const manifest = await backUp(repository, bytesSource(after));
  assert.ok(manifest.stats.bytes_added < 10_000_000, `${manifest.stats.bytes_added} bytes`);
});

test('passing faults of every sort at every call cost nothing when calls are retried', async () => {
  const start = await storageWithOneBackup();
  const faults: Fault[] = [{ kind: 'fail_before' }, { kind: 'fail_after' }, { kind: 'torn_write' }];
  const small = { first: before.first, second: patternedBytes(500_000, 12) };
  for (const fault of faults) {
    for (let call = 1; call <= 25; call += 1) {
      const storage = await copyOf(start);
      const clock = { ...systemClock, sleep: () => Promise.resolve() };
      const faulty = withRetry(withFaults(storage, atCalls({ [call]: fault })), { clock, random: () => 0 });
      await using repository = await openTestRepository(faulty);
      const manifest = await backUp(repository, bytesSource(small));
      assert.deepEqual(await readBack(repository, manifest), small);
    }
  }
});

test('a pack that vanishes while a backup relies on it stops the backup', async () => {
  const storage = await storageWithOneBackup();
  await using repository = await openTestRepository(storage);
  const source = bytesSource(before);
  const vanishing = {
    ...source,
    backup: async (context: Parameters<typeof source.backup>[0]) => {
      const outcome = await source.backup(context);
      for await (const { name } of storage.list('packs/')) await storage.delete(name);
      return outcome;
    },
  };
  await assert.rejects(backUp(repository, vanishing), { errorName: 'pack_lost' });
  assert.equal((await repository.names()).length, 1);
});

test('a listing that does not show yet what was just stored costs no backup', async () => {
  const storage = await storageWithOneBackup();
  const old = new Set((await Array.fromAsync(storage.list(''))).map(({ name }) => name));
  const lagging: Storage = {
    location: storage.location,
    put: (name, data, options) => storage.put(name, data, options),
    get: (name, options) => storage.get(name, options),
    stat: (name, options) => storage.stat(name, options),
    delete: (name, options) => storage.delete(name, options),
    foreign: () => storage.foreign(),
    close: () => storage.close(),
    async *list(prefix, options) {
      for await (const info of storage.list(prefix, options)) if (old.has(info.name)) yield info;
    },
  };
  const contents = { ...before, more: patternedBytes(300_000, 77) };
  await using repository = await openTestRepository(lagging);
  const manifest = await backUp(repository, bytesSource(contents));
  await using elsewhere = await openTestRepository(storage);
  assert.deepEqual(await readBack(elsewhere, manifest), contents);
});
