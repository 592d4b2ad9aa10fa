import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Manifest } from '../../src/contract/manifest.ts';
import { unscannedFacts } from '../../src/contract/wal.ts';
import { silentLogger } from '../../src/kernel/log.ts';
import { forgetBackups } from '../../src/operations/forget.ts';
import { findForgotten, undoForget } from '../../src/operations/forget-undo.ts';
import type { WalQuestion } from '../../src/operations/prune/options.ts';
import { syncTo } from '../../src/operations/sync/sync.ts';
import type { KeptWal } from '../../src/operations/wal/unneeded.ts';
import { addToLsn, type Lsn } from '../../src/postgres/lsn.ts';
import { earlierOf } from '../../src/repository/gc/storage-clock.ts';
import { MemoryStorage } from '../../src/storage/memory/memory-storage.ts';
import { ManualClock } from '../../testing/clock.ts';
import { pruneWith } from '../../testing/prune.ts';
import { namesIn } from '../../testing/repair.ts';
import { openTestRepository, silentProgress } from '../../testing/repository.ts';
import { mib, walBytes } from '../../testing/wal-archive.ts';
import { ClusterWorld, modelBegin } from './cluster-world.ts';

const hour = 3_600_000;
const signal = new AbortController().signal;
const doing = { signal, log: silentLogger, progress: silentProgress, dryRun: false };
const at = (unit: number): Lsn => addToLsn(modelBegin, unit * mib);

/** Eight units of WAL and two backups, the first of which is forgotten: nothing before the sixth unit is needed by the other. */
async function setUp() {
  const clock = new ManualClock();
  const storage = new MemoryStorage(clock);
  const world = await ClusterWorld.make({ storage });
  const { repository, archive } = world;
  for (let unit = 0; unit < 8; unit += 1)
    await archive.put(
      { timeline: 1, start: at(unit), bytes: walBytes(BigInt(unit * mib), mib) },
      unscannedFacts,
    );
  const first = await world.backUp(1, at(0), addToLsn(at(1), 8192));
  await world.backUp(1, at(5), addToLsn(at(6), 8192));
  await clock.advance(48 * hour);
  const name = (await repository.names()).find(({ id }) => id === first.id);
  assert.ok(name !== undefined);
  const asked = { ...doing, clock, host: 'h', user: 'u', reason: 'a test', mustStay: [] };
  await forgetBackups(repository, [{ name, source: 'main', why: [] }], asked);
  const keptFrom = (unit: number): KeptWal =>
    new Map([[archive.id, new Map([[1, [{ from: BigInt(at(unit)), to: null }]]])]]);
  const undo = async (): Promise<Manifest> =>
    await undoForget(repository, await findForgotten(repository, first.id, signal), doing);
  return { clock, storage, repository, first, keptFrom, undo };
}

test('a backup of a cluster comes back while its WAL stays, and not when a prune may be about to remove it', async () => {
  const { clock, storage, repository, first, keptFrom, undo } = await setUp();
  const keptWal = async (): Promise<KeptWal> => keptFrom(5);
  assert.equal((await pruneWith(repository, clock, { keptWal })).wal_marked.objects, 5);
  await clock.advance(37 * hour);
  const before = await namesIn(storage, 'snapshots/');
  await assert.rejects(undo(), { errorName: 'forget_gone' });
  assert.deepEqual(await namesIn(storage, 'snapshots/'), before);
  // As it is found in the middle of a prune.
  await clock.advance(36 * hour);
  let undone: Error | undefined;
  const pruned = await pruneWith(repository, clock, {
    keptWal: async () => {
      undone ??= await undo().then(
        () => new Error('brought back'),
        (error: unknown) => error as Error,
      );
      return keptFrom(5);
    },
  });
  assert.match(undone?.message ?? '', /WAL of timeline 1 .* about to remove/);
  assert.equal(pruned.wal_removed.objects, 5);
  assert.ok(!(await repository.names()).some(({ id }) => id === first.id));
});

test('a backup of a cluster that came back in time keeps its WAL', async () => {
  const { clock, repository, first, keptFrom, undo } = await setUp();
  await pruneWith(repository, clock, { keptWal: async () => keptFrom(5) });
  await clock.advance(35 * hour);
  assert.equal((await undo()).id, first.id);
});

test('the WAL of a backup that comes back takes the manifest back with it when it goes meanwhile', async () => {
  const { storage, undo } = await setUp();
  const put = storage.put.bind(storage);
  const [oldest = ''] = (await namesIn(storage, 'wal/')).filter((name) => /\/\d{8}\//.test(name));
  storage.put = async (name, ...rest) => {
    await put(name, ...rest);
    if (name.startsWith('snapshots/')) await storage.delete(oldest);
  };
  const before = await namesIn(storage, 'snapshots/');
  await assert.rejects(undo(), { errorName: 'forget_gone' });
  assert.deepEqual(await namesIn(storage, 'snapshots/'), before);
  assert.equal((await namesIn(storage, 'trash/')).length, 1);
});

test('a prune asks once more right before it removes WAL which must stay', async () => {
  const { clock, repository, keptFrom } = await setUp();
  await pruneWith(repository, clock, { keptWal: async () => keptFrom(5) });
  await clock.advance(73 * hour);
  const asked: WalQuestion[] = [];
  const { wal_removed: removed } = await pruneWith(repository, clock, {
    keptWal: async (question) => {
      asked.push(question);
      return keptFrom(asked.length === 1 ? 5 : 2);
    },
  });
  assert.equal(removed.objects, 2);
  assert.deepEqual(
    asked.map(({ nowMs, backups }) => [nowMs, backups.length]),
    [1, 2].map(() => [clock.now(), 1]),
  );
});

test('periods are counted from the clock of the storage where that of the machine is ahead of it', async () => {
  const { clock, repository, keptFrom } = await setUp();
  const ahead = {
    now: () => clock.now() + 30 * 24 * hour,
    monotonicNs: () => clock.monotonicNs(),
    sleep: clock.sleep.bind(clock),
  };
  let nowMs: number | undefined;
  await pruneWith(repository, ahead, {
    keptWal: async (question) => {
      nowMs = question.nowMs;
      return keptFrom(5);
    },
  });
  assert.equal(nowMs, clock.now());
  assert.deepEqual(
    [earlierOf(5 * hour, 4 * hour), earlierOf(5 * hour, 5 * hour + 1)],
    [4 * hour, 5 * hour + 1],
  );
});

test('a copy shows no backup whose WAL its own prune may be about to remove', async () => {
  const clock = new ManualClock();
  const world = await ClusterWorld.make({ storage: new MemoryStorage(clock) });
  const { repository, archive } = world;
  for (let unit = 0; unit < 8; unit += 1)
    await archive.put(
      { timeline: 1, start: at(unit), bytes: walBytes(BigInt(unit * mib), mib) },
      unscannedFacts,
    );
  await world.backUp(1, at(5), addToLsn(at(6), 8192));
  const place = new MemoryStorage(clock);
  const syncing = { ...doing, jobs: 1, clock, random: Math.random };
  assert.deepEqual((await syncTo(repository, place, syncing)).problems, []);
  const late = await world.backUp(1, at(0), addToLsn(at(1), 8192));
  await using copy = await openTestRepository(place, { clock });
  const keptWal = async (): Promise<KeptWal> =>
    new Map([[archive.id, new Map([[1, [{ from: BigInt(at(5)), to: null }]]])]]);
  assert.equal((await pruneWith(copy, clock, { keptWal })).wal_marked.objects, 5);
  await clock.advance(37 * hour);
  const { problems } = await syncTo(repository, place, syncing);
  assert.match(problems.map(({ message }) => message).join('\n'), /about to remove WAL that it needs/);
  assert.ok(!(await copy.names()).some(({ id }) => id === late.id));
});
