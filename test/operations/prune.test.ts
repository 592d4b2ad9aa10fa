import assert from 'node:assert/strict';
import { test } from 'node:test';
import { failure, isFailure } from '../../src/kernel/errors/failure.ts';
import { silentLogger } from '../../src/kernel/log.ts';
import { forgetBackups } from '../../src/operations/forget.ts';
import { findForgotten, undoForget } from '../../src/operations/forget-undo.ts';
import { verifyRepository } from '../../src/operations/verify.ts';
import type { KeptWal } from '../../src/operations/wal/unneeded.ts';
import type { Repository } from '../../src/repository/repository.ts';
import { MemoryStorage } from '../../src/storage/memory/memory-storage.ts';
import type { Manifest } from '../../src/contract/manifest.ts';
import type { Storage } from '../../src/storage/port.ts';
import { withFaults } from '../../src/storage/wrap/faults.ts';
import { patternedBytes } from '../../testing/bytes.ts';
import { ManualClock } from '../../testing/clock.ts';
import { forgetManifest } from '../../testing/forget.ts';
import { pruneWith } from '../../testing/prune.ts';
import { mib, putWal, walBytes, walInfo } from '../../testing/wal-archive.ts';
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

test('a backup that ends while a prune begins does not stop it', async () => {
  const { clock, storage, repository: writer } = await setUp();
  await using _closing = writer;
  await backUp(writer, bytesSource({ a: patternedBytes(200_000, 1) }), { clock });
  let ended = false;
  const busy: Storage = {
    location: storage.location,
    put: (name, data, options) => storage.put(name, data, options),
    get: (name, options) => storage.get(name, options),
    stat: (name, options) => storage.stat(name, options),
    delete: (name, options) => storage.delete(name, options),
    foreign: () => storage.foreign(),
    close: () => storage.close(),
    async *list(prefix, options) {
      if (prefix === 'snapshots/' && !ended) {
        ended = true;
        await backUp(writer, bytesSource({ b: patternedBytes(300_000, 2) }), { clock });
      }
      yield* storage.list(prefix, options);
    },
  };
  await using pruner = await openTestRepository(busy, { ...plain, clock });
  const report = await pruneWith(pruner, clock);
  assert.deepEqual([ended, report.backups, report.marked.packs], [true, 2, 0]);
});

test('a small pack in which everything is needed is not made anew for the waste in a large one', async () => {
  const { clock, repository } = await setUp();
  await using _closing = repository;
  const large = patternedBytes(3_000_000, 1);
  const first = await backUp(repository, bytesSource({ large, a: patternedBytes(40_000, 2) }), { clock });
  await backUp(repository, bytesSource({ large, b: patternedBytes(100_000, 3) }), { clock });
  await clock.advance(48 * hour);
  await forget(repository, first, clock);
  const report = await pruneWith(repository, clock, { maxUnused: 0 });
  assert.ok(report.unused_bytes > 40_000, 'there is waste, too little of the large pack to take it apart');
  assert.deepEqual([report.repacked.packs, report.marked.packs], [0, 0]);
});

test('WAL that nothing needs goes after the grace; what is needed again by then stays', async () => {
  const { clock, storage, repository } = await setUp();
  await using _closing = repository;
  const archive = await repository.walArchive(walInfo);
  for (let unit = 1; unit <= 8; unit += 1) await putWal(archive, unit * mib, walBytes(unit * mib, mib));
  await putWal(archive, 3 * mib, walBytes(3 * mib, mib), 2);
  let from = BigInt(5 * mib);
  const keptWal = async (): Promise<KeptWal> => new Map([[archive.id, new Map([[1, [{ from, to: null }]]])]]);
  const marking = await pruneWith(repository, clock, { keptWal });
  assert.equal(marking.wal_marked.objects, 4);
  assert.equal((await pruneWith(repository, clock, { keptWal })).wal_marked.objects, 0, 'only once');
  await clock.advance(73 * hour);
  // Two of the marked units are needed by now.
  from = BigInt(3 * mib + 100);
  const dry = await pruneWith(repository, clock, { keptWal, dryRun: true });
  const removing = await pruneWith(repository, clock, { keptWal });
  assert.deepEqual([dry.wal_removed, removing.wal_removed.objects], [removing.wal_removed, 2]);
  const runs = await archive.runs(1);
  assert.deepEqual(
    runs.map(({ start, end }) => [start, end]),
    [[BigInt(3 * mib), BigInt(9 * mib)]],
  );
  assert.equal((await archive.runs(2)).length, 1, 'a timeline that nobody named stays');
  assert.equal((await pruneWith(repository, clock)).wal_marked.objects, 0, 'without a plan all stays');
  assert.ok((await count(storage, 'wal/')) > 6);
});

test('a backup that vanished without a record stops everything', async () => {
  const { clock, storage, repository } = await setUp();
  await using _closing = repository;
  const first = await backUp(repository, bytesSource({ a: patternedBytes(200_000, 1) }), { clock });
  const second = await backUp(repository, bytesSource({ b: patternedBytes(200_000, 2) }), { clock });
  const third = await backUp(repository, bytesSource({ c: patternedBytes(200_000, 3) }), { clock });
  await clock.advance(48 * hour);
  await forget(repository, first, clock);
  await pruneWith(repository, clock);
  const named = async (id: string): Promise<string> =>
    (await Array.fromAsync(storage.list('snapshots/'))).find(({ name }) => name.endsWith(id))?.name ?? '';
  // The newest: no other backup names it, but the run that marked has seen it.
  const name = await named(third.id);
  const bytes = await storage.get(name);
  await storage.delete(name);
  await clock.advance(80 * hour);
  await assert.rejects(pruneWith(repository, clock), { errorName: 'prune_backups_missing' });
  await storage.put(name, bytes);
  // One in the middle: the one behind names it.
  const middle = await named(second.id);
  const kept = await storage.get(middle);
  await storage.delete(middle);
  await assert.rejects(pruneWith(repository, clock), { errorName: 'prune_backups_missing' });
  await storage.put(middle, kept);
  assert.ok((await pruneWith(repository, clock)).removed.packs > 0);
});

test('a clock that was set, a chunk or a map that is missing, and another prune stop everything', async () => {
  const { clock, storage, repository } = await setUp();
  await using _closing = repository;
  const contents = { a: patternedBytes(200_000, 1) };
  const first = await backUp(repository, bytesSource(contents), { clock });
  const mapped = (more: Record<string, Uint8Array>): ReturnType<typeof bytesSource> =>
    bytesSource({ ...more, b: patternedBytes(200_000, 2) }, { type: 'fixed', sizeBytes: 4096 });
  // The list of one and the map in it lie in two packs.
  const second = await backUp(repository, mapped({}), { clock });
  await backUp(repository, mapped({ c: patternedBytes(100, 3) }), { clock });
  await clock.advance(48 * hour);
  await forget(repository, first, clock);
  await forget(repository, second, clock);
  await pruneWith(repository, clock);
  await clock.advance(80 * hour);
  const slow = { now: () => clock.now() - 70 * hour, monotonicNs: () => 0n, sleep: clock.sleep.bind(clock) };
  await assert.rejects(pruneWith(repository, slow), { errorName: 'prune_clock' });

  await storage.put('gc/turns/0000000007', Buffer.from('somebody'));
  await assert.rejects(pruneWith(repository, clock), { errorName: 'prune_busy' });
  await storage.delete('gc/turns/0000000007');

  const packs = (await Array.fromAsync(storage.list('packs/'))).map(({ name }) => name);
  for (const name of packs) {
    const bytes = await storage.get(name);
    await storage.delete(name);
    await using elsewhere = await openTestRepository(storage, { ...plain, clock });
    const outcome = await pruneWith(elsewhere, clock, { dryRun: true }).catch((error: unknown) => error);
    if (outcome instanceof Error) {
      assert.ok(isFailure(outcome, 'prune_incomplete') || isFailure(outcome, 'prune_unreadable'));
      assert.equal(outcome.message.split('nothing is removed').length, 2, outcome.message);
    }
    await storage.put(name, bytes);
  }
  assert.equal(await count(storage, 'packs/'), packs.length);
});

test('a forgotten backup that a prune has marked comes back in time, and is refused when it is too late', async () => {
  const { clock, storage, repository } = await setUp();
  await using _closing = repository;
  const signal = new AbortController().signal;
  const contents = { a: patternedBytes(200_000, 1) };
  const doing = { signal, log: silentLogger, progress: silentProgress, clock, host: 'h', user: 'u' };
  for (const waitHours of [20, 40]) {
    const made = await backUp(repository, bytesSource(contents), { clock });
    await backUp(repository, bytesSource({ b: patternedBytes(50_000, waitHours) }), { clock });
    await clock.advance(48 * hour);
    const name = (await repository.names()).find(({ id }) => id === made.id);
    assert.ok(name !== undefined);
    const going = [{ name, source: 'bytes', why: ['a test'] }];
    await forgetBackups(repository, going, { ...doing, reason: 'a test', mustStay: [] });
    assert.ok((await pruneWith(repository, clock)).marked.packs > 0);
    await clock.advance(waitHours * hour);
    const undo = undoForget(repository, await findForgotten(repository, made.id, signal), {
      ...doing,
      dryRun: false,
    });
    if (waitHours === 40) {
      await assert.rejects(undo, { errorName: 'forget_gone' });
      assert.equal(await count(storage, 'trash/'), 1);
      await clock.advance(150 * hour);
      await pruneWith(repository, clock);
      assert.equal(await count(storage, 'trash/'), 0, 'nobody could bring it back');
      continue;
    }
    await undo;
    await clock.advance(60 * hour);
    await pruneWith(repository, clock);
    assert.deepEqual(await readBack(repository, made), { a: Buffer.from(contents.a) });
    assert.equal(await count(storage, 'trash/'), 0);
    await forget(repository, made, clock);
    await pruneWith(repository, clock);
    await clock.advance(80 * hour);
    await pruneWith(repository, clock);
  }
});

test('the trash keeps what may come back, however long nobody has pruned, and names what it loses', async () => {
  const { clock, storage, repository } = await setUp();
  await using _closing = repository;
  const signal = new AbortController().signal;
  const doing = { signal, log: silentLogger, progress: silentProgress, clock, host: 'h', user: 'u' };
  const contents = { a: patternedBytes(200_000, 1) };
  const made = await backUp(repository, bytesSource(contents), { clock });
  await backUp(repository, bytesSource({ b: patternedBytes(50_000, 2) }), { clock });
  const [name] = await repository.names();
  assert.ok(name?.id === made.id);
  await forgetBackups(repository, [{ name, source: 'bytes', why: [] }], {
    ...doing,
    reason: 'x',
    mustStay: [],
  });
  await clock.advance(1000 * hour);
  const first = await pruneWith(repository, clock, { graceMs: hour });
  assert.ok(first.marked.packs > 0);
  assert.deepEqual([first.emptied_trash, first.removed.packs], [[], 0]);
  const back = await undoForget(repository, await findForgotten(repository, made.id, signal), {
    ...doing,
    dryRun: true,
  });
  assert.equal(back.id, made.id);

  await clock.advance(2 * hour);
  const dry = await pruneWith(repository, clock, { graceMs: hour, dryRun: true });
  assert.deepEqual(dry.emptied_trash, [made.id]);
  assert.equal(await count(storage, 'trash/'), 1);
  assert.deepEqual((await pruneWith(repository, clock, { graceMs: hour })).emptied_trash, [made.id]);
  assert.equal(await count(storage, 'trash/'), 0);
});

test('a forgotten backup that needed nothing for itself leaves the trash, too', async () => {
  const { clock, storage, repository } = await setUp();
  await using _closing = repository;
  const signal = new AbortController().signal;
  const doing = { signal, log: silentLogger, progress: silentProgress, clock, host: 'h', user: 'u' };
  const source = bytesSource({ a: patternedBytes(200_000, 1) });
  const made = await backUp(repository, source, { clock });
  await backUp(repository, source, { clock });
  const [name] = await repository.names();
  assert.ok(name?.id === made.id);
  await clock.advance(48 * hour);
  await forgetBackups(repository, [{ name, source: 'bytes', why: [] }], {
    ...doing,
    reason: 'x',
    mustStay: [],
  });
  const emptied: string[] = [];
  for (let day = 0; day < 12; day += 1) {
    emptied.push(...(await pruneWith(repository, clock)).emptied_trash);
    await clock.advance(24 * hour);
  }
  assert.deepEqual([emptied, await count(storage, 'trash/')], [[made.id], 0]);
  assert.equal(await count(storage, 'gc/'), 0, 'nothing is left of it');
});

test('what the storage keeps locked is left for a later prune, and the rest goes', async () => {
  const { clock, storage } = await setUp();
  let locked = '';
  const holding = withFaults(storage, ({ operation, name }) =>
    operation === 'delete' && name === locked
      ? {
          kind: 'fail_before',
          error: failure('storage_locked', { name, location: 'x', reason: 'until then' }),
        }
      : undefined,
  );
  await using repository = await openTestRepository(holding, { ...plain, clock });
  const made: Manifest[] = [];
  for (const seed of [1, 2])
    made.push(await backUp(repository, bytesSource({ a: patternedBytes(300_000, seed) }), { clock }));
  await backUp(repository, bytesSource({ b: patternedBytes(100_000, 3) }), { clock });
  await clock.advance(48 * hour);
  for (const manifest of made) await forget(repository, manifest, clock);
  const { marked } = await pruneWith(repository, clock);
  [locked = ''] = (await Array.fromAsync(storage.list('packs/'))).map(({ name }) => name);
  await clock.advance(80 * hour);
  const first = await pruneWith(repository, clock);
  // The locked one may be the pack of the backup that stays.
  assert.equal(first.removed.packs + first.locked_objects, marked.packs);
  locked = '';
  const second = await pruneWith(repository, clock);
  assert.deepEqual([second.removed.packs, second.locked_objects], [first.locked_objects, 0]);
});
