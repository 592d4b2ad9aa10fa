import {
  DeleteObjectCommand,
  GetObjectRetentionCommand,
  ListObjectVersionsCommand,
} from '@aws-sdk/client-s3';
import assert from 'node:assert/strict';
import { after, describe, test } from 'node:test';
import { systemClock } from '../../src/kernel/clock.ts';
import { silentLogger } from '../../src/kernel/log.ts';
import { checkAccess } from '../../src/storage/s3/bucket.ts';
import type { S3Storage } from '../../src/storage/s3/s3-storage.ts';
import { withFaults } from '../../src/storage/wrap/faults.ts';
import { withLimit } from '../../src/storage/wrap/limit.ts';
import { withLog } from '../../src/storage/wrap/log.ts';
import { withRetry } from '../../src/storage/wrap/retry.ts';
import { cephBucket, withoutCeph, type CephBucket } from '../../testing/ceph.ts';
import { openCephStorage } from '../../testing/ceph-storage.ts';
import { assertSame, namesOf, pattern, rejectsWith } from '../../testing/storage-conformance.ts';
import { TestClock } from './support.ts';

const dayMs = 86_400_000;

describe('S3 object lock', { skip: withoutCeph() }, () => {
  const opened: S3Storage[] = [];
  after(() => Promise.all(opened.map((storage) => storage.close())));

  async function locking(settings: Readonly<Record<string, unknown>> = {}) {
    const bucket = await cephBucket({ lock: true });
    const storage = await openCephStorage(bucket, {
      settings: { object_lock: '2d', part_size: '5MiB', ...settings },
    });
    opened.push(storage);
    return { bucket, storage };
  }

  const keyOf = ({ bucket }: CephBucket, name: string) => ({ Bucket: bucket, Key: `backups/shop/${name}` });

  async function lockOf(bucket: CephBucket, name: string): Promise<{ mode: string; untilMs: number }> {
    const { Retention } = await bucket.client.send(new GetObjectRetentionCommand(keyOf(bucket, name)));
    return { mode: Retention?.Mode ?? '', untilMs: Retention?.RetainUntilDate?.getTime() ?? 0 };
  }

  async function versionsIn({ client, bucket }: CephBucket) {
    const { Versions: versions = [], DeleteMarkers: markers = [] } = await client.send(
      new ListObjectVersionsCommand({ Bucket: bucket, Prefix: 'backups/shop/packs/' }),
    );
    return { versions, markers };
  }

  test('what is stored is locked for as long as is set, small or in parts', async () => {
    const { bucket, storage } = await locking();
    const before = Math.floor(Date.now() / 1000) * 1000;
    for (const [name, size] of [
      ['packs/aa/small', 1000],
      ['packs/aa/parts', 6_000_000],
    ] as const) {
      await storage.put(name, pattern(size, 1));
      const { mode, untilMs } = await lockOf(bucket, name);
      assert.equal(mode, 'GOVERNANCE');
      assert.ok(
        untilMs >= before + 2 * dayMs && untilMs <= Date.now() + 2 * dayMs + 2000,
        new Date(untilMs).toISOString(),
      );
    }
  });

  test('the owner cannot delete what is locked, nor can it be hidden', async () => {
    const { bucket, storage } = await locking();
    const data = pattern(1000, 1);
    await storage.put('packs/aa/aa', data);
    const error = await rejectsWith('storage_locked', storage.delete('packs/aa/aa'));
    assert.equal(error.exitCode, 4);
    assert.match(error.message, /is locked and cannot be deleted: until 20\d\d-.*, mode governance/);
    assertSame(await storage.get('packs/aa/aa'), data);
    const { versions, markers } = await versionsIn(bucket);
    assert.deepEqual([versions.length, markers.length], [1, 0]);
    // With the plain client of the owner, too, and no way around but hiding, which loses nothing.
    const plain = new DeleteObjectCommand({
      ...keyOf(bucket, 'packs/aa/aa'),
      VersionId: versions[0]?.VersionId,
    });
    await assert.rejects(bucket.client.send(plain), /forbidden by object lock/);
  });

  test('what is not locked any more goes with all its versions', async () => {
    const bucket = await cephBucket({ lock: true });
    const unlocked = await openCephStorage(bucket);
    const storage = await openCephStorage(bucket, { settings: { object_lock: '1d' } });
    opened.push(unlocked, storage);
    await unlocked.put('packs/aa/aa', pattern(10, 1));
    await unlocked.delete('packs/aa/aa');
    await unlocked.put('packs/aa/aa', pattern(10, 2));
    await storage.delete('packs/aa/aa');
    const { versions, markers } = await versionsIn(bucket);
    assert.deepEqual([versions.length, markers.length], [0, 0]);
    await storage.delete('packs/aa/aa');
  });

  test('what may be made anew or must go is not locked, what a backup needs is', async () => {
    const { storage } = await locking();
    const passing = [
      'index/1',
      'gc/marks/1',
      'pins/1',
      'trash/1',
      'forgotten/1',
      'wal/ab/00000001/00000000/0a000000.p00010000',
    ];
    for (const name of passing) {
      await storage.put(name, pattern(10, 1));
      await storage.delete(name);
    }
    assert.deepEqual(await namesOf(storage.list('')), []);
    const lasting = [
      'packs/aa/aa',
      'snapshots/1',
      'keys/1.json',
      'holdfast.json',
      'wal/ab/00000001/00000000/0a000000',
    ];
    for (const name of lasting) {
      await storage.put(name, pattern(10, 1));
      await rejectsWith('storage_locked', storage.delete(name));
    }
  });

  test('a lock is extended, also through every wrapper, and never shortened', async () => {
    const { bucket, storage } = await locking();
    const clock = new TestClock();
    const faulty = withFaults(
      storage,
      ({ index }) => (index === 1 ? { kind: 'fail_after' } : undefined),
      clock,
    );
    const wrapped = withLimit(
      withRetry(withLog(faulty, silentLogger, systemClock), { clock, random: () => 0.5 }),
      { concurrency: 2 },
    );
    const untilMs = Math.ceil((Date.now() + 5 * dayMs) / 1000) * 1000;
    await storage.put('packs/aa/aa', pattern(10, 1));
    await wrapped.retain?.('packs/aa/aa', untilMs);
    assert.equal((await lockOf(bucket, 'packs/aa/aa')).untilMs, untilMs);
    await wrapped.retain?.('packs/aa/aa', Date.now() + dayMs);
    assert.equal((await lockOf(bucket, 'packs/aa/aa')).untilMs, untilMs);
    assert.ok(wrapped.retain !== undefined);
    await rejectsWith('object_missing', wrapped.retain('packs/aa/bb', untilMs));
    assert.ok((wrapped.requests?.['PutObjectRetention']?.requests ?? 0) >= 1);
  });

  test('a stricter mode stays when a lock is extended', async () => {
    const { bucket, storage } = await locking();
    const strict = await openCephStorage(bucket, {
      settings: { object_lock: '1d', object_lock_mode: 'compliance' },
    });
    opened.push(strict);
    await strict.put('packs/aa/aa', pattern(10, 1));
    await storage.retain?.('packs/aa/aa', Date.now() + 4 * dayMs);
    const { mode, untilMs } = await lockOf(bucket, 'packs/aa/aa');
    assert.equal(mode, 'COMPLIANCE');
    assert.ok(untilMs > Date.now() + 3.9 * dayMs);
  });

  test('what was stored without a lock can be given one', async () => {
    const bucket = await cephBucket({ lock: true });
    const unlocked = await openCephStorage(bucket);
    const storage = await openCephStorage(bucket, {
      settings: { object_lock: '1d', object_lock_mode: 'compliance' },
    });
    opened.push(unlocked, storage);
    assert.equal(unlocked.retain, undefined);
    await unlocked.put('packs/aa/aa', pattern(10, 1));
    await storage.retain?.('packs/aa/aa', Date.now() + 2 * dayMs);
    assert.equal((await lockOf(bucket, 'packs/aa/aa')).mode, 'COMPLIANCE');
    await rejectsWith('storage_locked', storage.delete('packs/aa/aa'));
  });

  test('a bucket that cannot lock is refused at init and at every put', async () => {
    const storage = await openCephStorage(await cephBucket(), { settings: { object_lock: '1d' } });
    opened.push(storage);
    await rejectsWith('s3_no_lock', checkAccess(storage.context, undefined));
    await rejectsWith('s3_no_lock', storage.put('packs/aa/aa', pattern(10, 1)));
    assert.deepEqual(await namesOf(storage.list('')), []);
    const able = await locking();
    // A probe is locked for some minutes, and must have been kept.
    await checkAccess(able.storage.context, undefined);
    await checkAccess(able.storage.context, undefined);
    assert.equal((await able.storage.describe()).facts['object_lock'], 'on');
  });
});
