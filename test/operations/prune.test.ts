import assert from 'node:assert/strict';
import { test } from 'node:test';
import { silentLogger } from '../../src/kernel/log.ts';
import { verifyRepository } from '../../src/operations/verify.ts';
import type { Repository } from '../../src/repository/repository.ts';
import { MemoryStorage } from '../../src/storage/memory/memory-storage.ts';
import type { Manifest } from '../../src/contract/manifest.ts';
import { patternedBytes } from '../../testing/bytes.ts';
import { ManualClock } from '../../testing/clock.ts';
import { forgetManifest } from '../../testing/forget.ts';
import { pruneWith } from '../../testing/prune.ts';
import {
  backUp,
  bytesSource,
  makeRepository,
  openTestRepository,
  readBack,
  silentProgress,
} from '../../testing/repository.ts';

const hour = 3_600_000;
const plain = { encrypted: false };

async function setUp() {
  const clock = new ManualClock();
  const storage = new MemoryStorage(clock);
  const repository = await makeRepository(storage, { ...plain, clock });
  return { clock, storage, repository };
}

async function forget(repository: Repository, { id }: Manifest, clock: ManualClock): Promise<void> {
  const found = (await repository.names()).find((name) => name.id === id);
  await forgetManifest(repository, found?.objectName ?? '', clock);
}

async function count(storage: MemoryStorage, prefix: string): Promise<number> {
  return (await Array.fromAsync(storage.list(prefix))).length;
}

test('what a forgotten backup alone needed goes after the grace, and not before', async () => {
  const { clock, storage, repository } = await setUp();
  await using _closing = repository;
  const common = patternedBytes(400_000, 1);
  const first = await backUp(repository, bytesSource({ common, a: patternedBytes(900_000, 2) }), { clock });
  const contents = { common, b: patternedBytes(500_000, 3) };
  const second = await backUp(repository, bytesSource(contents), { clock });
  await clock.advance(48 * hour);
  await forget(repository, first, clock);
  const packs = await count(storage, 'packs/');

  const dry = await pruneWith(repository, clock, { dryRun: true });
  assert.equal(await count(storage, 'gc/'), 0);
  const marking = await pruneWith(repository, clock);
  assert.deepEqual({ ...marking, dry_run: true, repacked: dry.repacked }, dry);
  assert.deepEqual(marking.removed, { packs: 0, bytes: 0 });
  assert.ok(marking.marked.packs > 0 && marking.repacked.packs > 0);
  assert.ok((await count(storage, 'packs/')) > packs, 'what is needed was stored anew beside it');
  assert.equal(await count(storage, 'gc/turns/'), 0);

  await clock.advance(71 * hour);
  const early = await pruneWith(repository, clock);
  assert.deepEqual([early.removed.packs, early.marked.packs, early.waiting.length], [0, 0, 1]);

  await clock.advance(2 * hour);
  const removing = await pruneWith(repository, clock);
  assert.equal(removing.removed.packs, marking.marked.packs);
  assert.deepEqual(removing.marked, { packs: 0, bytes: 0 });
  await using elsewhere = await openTestRepository(storage, plain);
  assert.deepEqual(await readBack(elsewhere, second), contents);
  const signal = new AbortController().signal;
  const options = { signal, log: silentLogger, jobs: 1, progress: silentProgress, readData: true };
  const found = await verifyRepository(elsewhere, options);
  assert.deepEqual(
    found.problems.filter(({ code }) => code !== 'HF-3015'),
    [],
  );
  const usage = await pruneWith(repository, clock, { dryRun: true });
  assert.ok(usage.unused_bytes < 50_000 && usage.before.bytes < 1_200_000, JSON.stringify(usage));

  await clock.advance(20 * hour);
  await pruneWith(repository, clock);
  assert.equal(await count(storage, 'gc/'), 0, 'nothing is left of it');
});
