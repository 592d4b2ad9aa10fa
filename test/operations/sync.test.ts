import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Manifest } from '../../src/contract/manifest.ts';
import { systemClock, type Clock } from '../../src/kernel/clock.ts';
import { silentLogger } from '../../src/kernel/log.ts';
import { syncTo } from '../../src/operations/sync/sync.ts';
import type { KeptWal } from '../../src/operations/wal/unneeded.ts';
import { verifyRepository } from '../../src/operations/verify.ts';
import type { Repository } from '../../src/repository/repository.ts';
import { MemoryStorage } from '../../src/storage/memory/memory-storage.ts';
import { crashAtMutation } from '../../src/storage/wrap/fault-plan.ts';
import { withFaults } from '../../src/storage/wrap/faults.ts';
import { patternedBytes } from '../../testing/bytes.ts';
import { ManualClock } from '../../testing/clock.ts';
import { forgetManifest } from '../../testing/forget.ts';
import { pruneWith } from '../../testing/prune.ts';
import { makeWalArchive, mib, putWal, walBytes } from '../../testing/wal-archive.ts';
import {
  backUp,
  bytesSource,
  makeRepository,
  openTestRepository,
  readBack,
  silentProgress,
} from '../../testing/repository.ts';

const signal = new AbortController().signal;
const syncing = { signal, log: silentLogger, progress: silentProgress };
const verifying = { ...syncing, jobs: 1, readData: true };
const hour = 3_600_000;

async function lines(storage: MemoryStorage, prefix = ''): Promise<string[]> {
  return (await Array.fromAsync(storage.list(prefix))).map(({ name }) => name);
}

/** Another object over the same bytes: a sync closes what it is given. */
async function assertWhole(
  copy: MemoryStorage,
  expected: readonly (readonly [Manifest, Readonly<Record<string, Uint8Array>>])[],
): Promise<void> {
  await using opened = await openTestRepository(copy);
  assert.deepEqual((await verifyRepository(opened, verifying)).problems, []);
  const visible = new Set<string>((await opened.names()).map(({ id }) => id));
  for (const [manifest, contents] of expected) {
    assert.ok(visible.has(manifest.id));
    const restored = await readBack(opened, manifest);
    for (const [path, bytes] of Object.entries(contents))
      assert.ok(Buffer.compare(restored[path] ?? Buffer.alloc(0), bytes) === 0, path);
  }
}

async function forget(
  repository: Repository,
  { id }: Pick<Manifest, 'id'>,
  clock: Pick<Clock, 'now'> = systemClock,
): Promise<void> {
  const found = (await repository.names()).find((name) => name.id === id);
  await forgetManifest(repository, found?.objectName ?? '', clock);
}

test('an empty place becomes a copy, and later runs copy what is new', async () => {
  const [storage, place] = [new MemoryStorage(systemClock), new MemoryStorage(systemClock)];
  await using repository = await makeRepository(storage);
  const first = { a: patternedBytes(400_000, 1) };
  const one = await backUp(repository, bytesSource(first));
  const report = await syncTo(repository, place, syncing);
  assert.deepEqual([report.created, report.copied, report.problems], [true, [one.id], []]);
  assert.equal(report.packs.objects, (await lines(storage, 'packs/')).length);
  await assertWhole(place, [[one, first]]);

  const second = { ...first, b: patternedBytes(300_000, 2) };
  const two = await backUp(repository, bytesSource(second));
  const again = await syncTo(repository, place, syncing);
  assert.deepEqual([again.created, again.copied, again.present], [false, [two.id], 1]);
  assert.ok(again.packs.bytes < 350_000 && again.packs.objects > 0);
  await assertWhole(place, [
    [one, first],
    [two, second],
  ]);
  const before = await lines(place);
  const nothing = await syncTo(repository, place, syncing);
  assert.deepEqual([nothing.copied, nothing.packs.objects, nothing.others.objects], [[], 0, 0]);
  assert.deepEqual(await lines(place), before);
});

test('another repository, or other files, are refused before anything is written', async () => {
  const storage = new MemoryStorage(systemClock);
  await using repository = await makeRepository(storage);
  const other = new MemoryStorage(systemClock);
  await using _other = await makeRepository(other);
  const files = new MemoryStorage(systemClock);
  await files.put('letters/mum', Buffer.from('hi'));
  for (const place of [other, files]) {
    const before = await lines(place);
    await assert.rejects(syncTo(repository, place, syncing), { errorName: 'copy_foreign' });
    assert.deepEqual(await lines(place), before);
  }
});

test('a crash at any write of a sync leaves a copy in which all that is visible is whole, and the next goes on', async () => {
  const storage = new MemoryStorage(systemClock);
  await using repository = await makeRepository(storage);
  const contents = [{ a: patternedBytes(60_000, 1) }, { b: patternedBytes(60_000, 2) }] as const;
  const made = [];
  for (const one of contents) made.push([await backUp(repository, bytesSource(one)), one] as const);
  for (let at = 1; ; at += 1) {
    // Just before the write, or just after it: in turn.
    for (const applied of [at % 2 === 0]) {
      const place = new MemoryStorage(systemClock);
      const crashing = withFaults(place, crashAtMutation(at, applied));
      const outcome = await syncTo(repository, crashing, syncing).then(
        () => 'done',
        () => 'crashed',
      );
      if (outcome === 'done') {
        assert.ok(at > 6, `${at} writes`);
        return;
      }
      const names = await lines(place);
      if (names.includes('holdfast.json')) {
        const visible = made.filter(([{ id }]) => names.some((name) => name.endsWith(id)));
        await assertWhole(place, visible);
      }
      const { problems } = await syncTo(repository, place, syncing);
      assert.deepEqual(problems, []);
      await assertWhole(place, made);
    }
  }
});

test('what is damaged is named and not copied, and costs only the backups that need it', async () => {
  const [storage, place] = [new MemoryStorage(systemClock), new MemoryStorage(systemClock)];
  await using repository = await makeRepository(storage);
  const bad = await backUp(repository, bytesSource({ a: patternedBytes(300_000, 1) }));
  const packs = await lines(storage, 'packs/');
  const good = { b: patternedBytes(300_000, 2) };
  const later = await backUp(repository, bytesSource(good));
  const name = packs[0] ?? '';
  const bytes = await storage.get(name);
  bytes[bytes.length >> 1] = (bytes[bytes.length >> 1] ?? 0) ^ 1;
  await storage.delete(name);
  await storage.put(name, bytes);
  const report = await syncTo(repository, place, syncing);
  assert.deepEqual(report.copied, [later.id]);
  assert.deepEqual(
    report.problems.map(({ code }) => code),
    ['HF-3006', 'HF-6202'],
  );
  await using opened = await openTestRepository(place);
  assert.deepEqual(await readBack(opened, later), { b: Buffer.from(good.b) });
  await assert.rejects(opened.find(bad.id), { errorName: 'backup_unknown' });
});

test('what was forgotten and pruned in the copy is not copied again, and what is forgotten here stays there', async () => {
  const clock = new ManualClock();
  const [storage, place] = [new MemoryStorage(clock), new MemoryStorage(clock)];
  await using repository = await makeRepository(storage, { clock });
  const contents = [1, 2, 3].map((seed) => ({ a: patternedBytes(300_000, seed) }));
  const made: Manifest[] = [];
  for (const one of contents) made.push(await backUp(repository, bytesSource(one), { clock }));
  await syncTo(repository, place, syncing);
  const [first, second, third] = made as [Manifest, Manifest, Manifest];
  {
    await using copy = await openTestRepository(place, { clock });
    await forget(copy, first, clock);
    await clock.advance(30 * hour);
    await pruneWith(copy, clock);
    await clock.advance(80 * hour);
    const { removed } = await pruneWith(copy, clock);
    assert.ok(removed.packs > 0);
  }
  await forget(repository, second, clock);
  const fourth = await backUp(repository, bytesSource({ d: patternedBytes(100_000, 9) }), { clock });
  const report = await syncTo(repository, place, syncing);
  assert.deepEqual([report.copied, report.forgotten, report.problems], [[fourth.id], 1, []]);
  await using copy = await openTestRepository(place, { clock });
  const visible = (await copy.names()).map(({ id }) => id as string);
  assert.deepEqual(visible, [second.id, third.id, fourth.id]);
  for (const [index, manifest] of made.entries())
    if (manifest !== first)
      assert.deepEqual(await readBack(copy, manifest), { a: Buffer.from(contents[index]?.a ?? []) });
});

test('what a prune of the copy is about to remove is announced in time, or stored anew', async () => {
  const clock = new ManualClock();
  const [storage, place] = [new MemoryStorage(clock), new MemoryStorage(clock)];
  await using repository = await makeRepository(storage, { clock });
  const contents = { a: patternedBytes(300_000, 1) };
  const first = await backUp(repository, bytesSource(contents), { clock });
  await syncTo(repository, place, syncing);
  {
    await using copy = await openTestRepository(place, { clock });
    await forget(copy, first, clock);
    await clock.advance(30 * hour);
    assert.ok((await pruneWith(copy, clock)).marked.packs > 0);
  }
  const second = await backUp(repository, bytesSource(contents), { clock });
  await clock.advance(20 * hour);
  assert.deepEqual((await syncTo(repository, place, syncing)).copied, [second.id]);
  assert.equal((await lines(place, 'gc/needs/')).length, 1);
  await clock.advance(60 * hour);
  await using copy = await openTestRepository(place, { clock });
  await pruneWith(copy, clock);
  assert.deepEqual(await readBack(copy, second), { a: Buffer.from(contents.a) });

  const late = new MemoryStorage(clock);
  await syncTo(repository, late, syncing);
  await using other = await openTestRepository(late, { clock });
  for (const name of await other.names()) await forget(other, name, clock);
  await clock.advance(30 * hour);
  await pruneWith(other, clock);
  await backUp(repository, bytesSource(contents), { clock });
  await clock.advance(40 * hour);
  const { copied, problems } = await syncTo(repository, late, syncing);
  assert.deepEqual([copied.length, problems], [1, []]);
  await clock.advance(80 * hour);
  assert.ok((await pruneWith(other, clock)).removed.packs > 0);
  await using again = await openTestRepository(late, { clock });
  const [only, ...more] = await again.names();
  assert.deepEqual([only?.id, more], [copied[0], []]);
  const third = await again.find(copied[0] ?? '');
  assert.deepEqual(await readBack(again, third), { a: Buffer.from(contents.a) });
  const { problems: found } = await verifyRepository(again, verifying);
  // Records of this test's forgetting do not know what they name.
  assert.deepEqual(
    found.filter(({ code }) => code !== 'HF-3015'),
    [],
  );
});

test('a damaged pack is no problem where another one has what it holds', async () => {
  const [storage, place] = [new MemoryStorage(systemClock), new MemoryStorage(systemClock)];
  await using _made = await makeRepository(storage);
  const contents = { a: patternedBytes(40_000, 1) };
  const anew = async (): Promise<Manifest> => {
    await using repository = await openTestRepository(storage);
    return await backUp(repository, bytesSource(contents));
  };
  const first = await anew();
  const [pack = ''] = await lines(storage, 'packs/');
  const bytes = await storage.get(pack);
  await storage.delete(pack);
  const second = await anew();
  await storage.put(pack, bytes);
  const twins = await lines(storage, 'packs/');
  assert.equal(twins.length, 2);
  // The one that is taken first.
  const [taken = ''] = twins;
  const bad = await storage.get(taken);
  bad[bad.length >> 1] = (bad[bad.length >> 1] ?? 0) ^ 1;
  await storage.delete(taken);
  await storage.put(taken, bad);
  await using repository = await openTestRepository(storage);
  const { copied, problems } = await syncTo(repository, place, syncing);
  assert.deepEqual([copied, problems], [[first.id, second.id], []]);
  await assertWhole(place, [
    [first, contents],
    [second, contents],
  ]);
});

test('WAL is copied, but for what the copy would not keep; a unit that took the place of its parts stays one', async () => {
  const { repository, archive } = await makeWalArchive({ encrypted: true });
  await using _closing = repository;
  const place = new MemoryStorage(systemClock);
  await putWal(archive, mib, walBytes(mib, mib));
  await putWal(archive, 2 * mib, walBytes(2 * mib, 5000));
  await archive.putFile('00000002.history', Buffer.from('1\t0/200000\tno recovery target specified\n'));
  const first = await syncTo(repository, place, syncing);
  assert.deepEqual([first.wal.objects, first.problems], [4, []]);
  await putWal(archive, 2 * mib, walBytes(2 * mib, mib));
  await archive.dropParts(1, BigInt(2 * mib));
  for (let unit = 3; unit <= 6; unit += 1) await putWal(archive, unit * mib, walBytes(unit * mib, mib));
  const keptWal = async (): Promise<KeptWal> =>
    new Map([[archive.id, new Map([[1, [{ from: BigInt(5 * mib), to: null }]]])]]);
  const second = await syncTo(repository, place, { ...syncing, keptWal });
  assert.equal(second.wal.objects, 2);
  assert.equal((await syncTo(repository, place, syncing)).wal.objects, 3);
  await using copy = await openTestRepository(place);
  const there = await copy.findWalArchive(archive.id);
  assert.deepEqual(
    (await there?.runs(1))?.map(({ start, end, stretches }) => [start, end, stretches]),
    [[BigInt(mib), BigInt(7 * mib), 6]],
    'no part is left of a unit that is whole',
  );
  assert.deepEqual(await there?.readUnit(1, BigInt(2 * mib)), walBytes(2 * mib, mib));
});
