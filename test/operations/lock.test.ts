import assert from 'node:assert/strict';
import {
  DeleteObjectCommand,
  GetObjectRetentionCommand,
  ListObjectVersionsCommand,
} from '@aws-sdk/client-s3';
import { test } from 'node:test';
import { systemClock } from '../../src/kernel/clock.ts';
import { silentLogger } from '../../src/kernel/log.ts';
import { extendLocks } from '../../src/operations/lock.ts';
import { verifyRepository } from '../../src/operations/verify.ts';
import { newRun, putMark } from '../../src/repository/gc/marks.ts';
import { packIdOf, packObject } from '../../src/repository/layout.ts';
import { objectOf } from '../../src/repository/manifests.ts';
import { MemoryStorage } from '../../src/storage/memory/memory-storage.ts';
import type { Storage } from '../../src/storage/port.ts';
import { cephBucket, withoutCeph, type CephBucket } from '../../testing/ceph.ts';
import { openCephStorage } from '../../testing/ceph-storage.ts';
import { ManualClock } from '../../testing/clock.ts';
import { forgetManifest } from '../../testing/forget.ts';
import { patternedBytes } from '../../testing/bytes.ts';
import { pruneWith } from '../../testing/prune.ts';
import {
  backUp,
  bytesSource,
  makeRepository,
  openTestRepository,
  readBack,
  silentProgress,
} from '../../testing/repository.ts';
import { rejectsWith } from '../../testing/storage-conformance.ts';
import { until } from '../../testing/until.ts';

const day = 86_400_000;
const periodMs = 30 * day;
const options = { periodMs, signal: new AbortController().signal, progress: silentProgress };

/** A storage that locks what is put, as S3 does, by its own clock. */
class LockingStorage extends MemoryStorage {
  readonly until = new Map<string, number>();
  asked = 0;
  readonly #clock: ManualClock;

  constructor(clock: ManualClock) {
    super(clock);
    this.#clock = clock;
  }

  override async put(...args: Parameters<Storage['put']>): Promise<void> {
    await super.put(...args);
    if (!args[0].startsWith('gc/') && !args[0].startsWith('index/'))
      this.until.set(args[0], this.#clock.now() + periodMs);
  }

  readonly retain = async (name: string, untilMs: number): Promise<void> => {
    await this.stat(name);
    this.asked += 1;
    this.until.set(name, Math.max(untilMs, this.until.get(name) ?? 0));
  };

  /** The shortest lock of what is there and begins with that. */
  async shortest(prefix: string): Promise<number> {
    const left: number[] = [];
    for await (const { name } of this.list(prefix))
      left.push((this.until.get(name) ?? 0) - this.#clock.now());
    return Math.min(...left);
  }
}

test('what is kept stays locked for half the period at least, and what was forgotten runs out', async () => {
  const clock = new ManualClock();
  const storage = new LockingStorage(clock);
  await using repository = await makeRepository(storage, { clock });
  const kept = await backUp(repository, bytesSource({ a: patternedBytes(200_000, 1) }), { clock });
  const gone = await backUp(repository, bytesSource({ b: patternedBytes(200_000, 2) }), { clock });
  await forgetManifest(repository, objectOf(gone), clock);
  const first = await extendLocks(repository, options);
  assert.equal(first?.all, true);
  await clock.advance(4 * day);
  const { marked } = await pruneWith(repository, clock);
  assert.ok(marked.packs > 0);
  const dead = new Set<string>();
  for (let days = 0; days < 120; days += 5) {
    await clock.advance(5 * day);
    await extendLocks(repository, options);
    for (const prefix of ['holdfast.json', 'keys/', 'snapshots/'])
      assert.ok((await storage.shortest(prefix)) >= periodMs / 2 - day, `${prefix} after ${days} days`);
  }
  for await (const { name } of storage.list('packs/'))
    if ((storage.until.get(name) ?? 0) < clock.now()) dead.add(name);
  assert.equal(dead.size, marked.packs, 'what is marked has run out, and nothing else');
  assert.ok((await readBack(repository, kept))['a']?.equals(patternedBytes(200_000, 1)));
});

test('it costs a request for each object twice a period, and for what is new', async () => {
  const clock = new ManualClock();
  const storage = new LockingStorage(clock);
  await using repository = await makeRepository(storage, { clock });
  for (let at = 0; at < 20; at += 1)
    await backUp(repository, bytesSource({ a: patternedBytes(9000, at) }), { clock });
  await clock.advance(2 * 3_600_000);
  const all = await extendLocks(repository, options);
  const objects = all?.objects ?? 0;
  assert.ok(objects > 40);
  await clock.advance(day);
  assert.equal((await extendLocks(repository, options))?.objects, 0);
  await backUp(repository, bytesSource({ a: patternedBytes(9000, 99) }), { clock });
  const some = await extendLocks(repository, options);
  assert.deepEqual([some?.all, (some?.objects ?? 99) < 6], [false, true]);
  await clock.advance(20 * day);
  const again = await extendLocks(repository, options);
  assert.equal(again?.all, true);
  assert.ok((again?.objects ?? 0) > objects);
});

test('a longer period, a lost record and a pack that is needed again are caught up with', async () => {
  const clock = new ManualClock();
  const storage = new LockingStorage(clock);
  await using repository = await makeRepository(storage, { clock });
  await backUp(repository, bytesSource({ a: patternedBytes(200_000, 1) }), { clock });
  await extendLocks(repository, options);
  await clock.advance(day);
  const longer = await extendLocks(repository, { ...options, periodMs: 2 * periodMs });
  assert.equal(longer?.all, true);
  assert.ok((await storage.shortest('packs/')) > periodMs);
  for await (const { name } of storage.list('gc/locked/')) await storage.delete(name);
  assert.equal((await extendLocks(repository, options))?.all, true);
  // Marked while everything else was locked anew, and needed again since.
  const [pack] = await Array.fromAsync(storage.list('packs/'));
  const id = packIdOf(pack?.name ?? '') ?? '';
  const mark = {
    schema: 1 as const,
    marked_at_ms: clock.now(),
    grace_ms: 1000,
    host: 'h',
    packs: [id],
    wal: [],
  };
  await clock.advance(50 * day);
  await putMark(storage, repository.pipelineKeys, newRun(clock.now()), 0, mark);
  await extendLocks(repository, options);
  assert.ok((await storage.shortest(packObject(id))) < periodMs);
  for await (const { name } of storage.list('gc/marks/')) await storage.delete(name);
  await clock.advance(day);
  const caught = await extendLocks(repository, options);
  assert.deepEqual([caught?.all, caught?.objects], [false, 1]);
  assert.ok((await storage.shortest(packObject(id))) >= periodMs - 2 * day);
});

test('a storage that locks nothing is left as it is', async () => {
  await using repository = await makeRepository(new MemoryStorage(systemClock));
  assert.equal(await extendLocks(repository, options), null);
});

const lockOf = async ({ client, bucket }: CephBucket, name: string): Promise<number> => {
  const command = new GetObjectRetentionCommand({ Bucket: bucket, Key: `backups/shop/${name}` });
  return (await client.send(command)).Retention?.RetainUntilDate?.getTime() ?? 0;
};

test(
  "on Ceph the owner's own credentials cannot delete a kept backup, before and after its lock was extended",
  { skip: withoutCeph() },
  async () => {
    const bucket = await cephBucket({ lock: true });
    const storage = await openCephStorage(bucket, { settings: { object_lock: '2d' } });
    await using repository = await makeRepository(storage);
    const contents = { a: patternedBytes(300_000, 3) };
    const manifest = await backUp(repository, bytesSource(contents));
    const names: string[] = [];
    for await (const { name } of storage.list(''))
      if (/^(packs|snapshots|keys|holdfast)/.test(name)) names.push(name);
    const refuses = async (): Promise<void> => {
      for (const name of names) await rejectsWith('storage_locked', storage.delete(name));
      const { client } = bucket;
      const Key = `backups/shop/${objectOf(manifest)}`;
      const { Versions: versions = [] } = await client.send(
        new ListObjectVersionsCommand({ Bucket: bucket.bucket, Prefix: Key }),
      );
      for (const { VersionId } of versions)
        await assert.rejects(client.send(new DeleteObjectCommand({ Bucket: bucket.bucket, Key, VersionId })));
    };
    await refuses();
    const before = await Promise.all(names.map((name) => lockOf(bucket, name)));
    const report = await extendLocks(repository, { ...options, periodMs: 9 * day });
    assert.ok(report !== null && report.objects >= names.length);
    const after = await Promise.all(names.map((name) => lockOf(bucket, name)));
    for (const [index, name] of names.entries())
      assert.ok((after[index] ?? 0) - (before[index] ?? 0) > 6 * day, name);
    await refuses();
    await using reader = await openTestRepository(await openCephStorage(bucket));
    const signal = new AbortController().signal;
    const verify = { signal, log: silentLogger, jobs: 1, progress: silentProgress, readData: true };
    assert.deepEqual((await verifyRepository(reader, verify)).problems, []);
  },
);

test(
  'on Ceph what was forgotten can be deleted when its lock has run out',
  { skip: withoutCeph() },
  async () => {
    const bucket = await cephBucket({ lock: true });
    // By a clock that is a day behind, so that locks end while the test runs.
    const behind = { ...systemClock, now: () => Date.now() - 86_400_000 + 4000 };
    const storage = await openCephStorage(bucket, { settings: { object_lock: '1d' }, clock: behind });
    await storage.put('packs/aa/kept', patternedBytes(1000, 1));
    await storage.put('packs/aa/gone', patternedBytes(1000, 2));
    await storage.retain?.('packs/aa/kept', Date.now() + day);
    const isDeleted = async (): Promise<boolean> =>
      await storage.delete('packs/aa/gone').then(
        () => true,
        () => false,
      );
    await until(isDeleted, 'the end of a lock', 20_000);
    await rejectsWith('storage_locked', storage.delete('packs/aa/kept'));
    await storage.close();
  },
);
