import assert from 'node:assert/strict';
import { test } from 'node:test';
import { systemClock } from '../../src/kernel/clock.ts';
import { silentLogger } from '../../src/kernel/log.ts';
import { keepReport, recallReports } from '../../src/operations/verify-memory.ts';
import type { VerifyReport } from '../../src/operations/verify-report.ts';
import { examine, levelOf } from '../../src/operations/verify.ts';
import { MemoryStorage } from '../../src/storage/memory/memory-storage.ts';
import type { Storage } from '../../src/storage/port.ts';
import { patternedBytes } from '../../testing/bytes.ts';
import { flip, namesIn, replace } from '../../testing/repair.ts';
import {
  backUp,
  bytesSource,
  makeRepository,
  openTestRepository,
  silentProgress,
} from '../../testing/repository.ts';

const signal = new AbortController().signal;

/** A verification as the program does it, on a machine that knows only what the repository tells. */
async function verifies(storage: Storage, readData: boolean): Promise<VerifyReport> {
  await using repository = await openTestRepository(storage);
  const memory = await recallReports(repository, silentLogger, signal);
  const how = {
    signal,
    log: silentLogger,
    jobs: 1,
    progress: silentProgress,
    overtakenMs: 0,
    readData,
    ...memory,
  };
  const startedAtMs = Date.now();
  const findings = await examine(repository, how);
  const facts = { clock: systemClock, host: 'testhost', user: 'tester', startedAtMs };
  await keepReport(repository, findings, memory, { ...facts, verify: how, accepted: null });
  return findings.report(levelOf(how));
}

async function oneBackup(): Promise<{ readonly storage: MemoryStorage; readonly pack: string }> {
  const storage = new MemoryStorage(systemClock);
  await using repository = await makeRepository(storage);
  await backUp(repository, bytesSource({ a: patternedBytes(300_000, 1) }));
  const [pack = ''] = await namesIn(storage, 'packs/');
  return { storage, pack };
}

test('what was found damaged is named by every later verify, however many, until it is read as good', async () => {
  const { storage, pack } = await oneBackup();
  const good = await storage.get(pack);
  await replace(storage, pack, flip(good, 8 * 3000));
  assert.equal((await verifies(storage, true)).ok, false);
  for (let later = 1; later <= 10; later += 1) {
    const { ok, problems } = await verifies(storage, false);
    assert.equal(ok, false, `${later}`);
    assert.deepEqual(new Set(problems.map(({ object }) => object)), new Set([pack]));
  }
  await replace(storage, pack, good);
  assert.deepEqual((await verifies(storage, false)).problems, []);
  await using repository = await openTestRepository(storage);
  assert.deepEqual((await recallReports(repository, silentLogger, signal)).suspects, []);
});

test('a pack that is gone is one problem, with all that needs it', async () => {
  const { storage } = await oneBackup();
  for (const name of await namesIn(storage, 'packs/')) {
    const bytes = await storage.get(name);
    await storage.delete(name);
    const { problems } = await verifies(storage, false);
    const ofPack = problems.filter(({ object }) => object === name);
    assert.equal(ofPack.length, 1, name);
    assert.equal(ofPack[0]?.backups.length, 1);
    await storage.put(name, bytes);
  }
});
