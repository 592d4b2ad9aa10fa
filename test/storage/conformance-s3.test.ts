import { PutBucketVersioningCommand } from '@aws-sdk/client-s3';
import { test } from 'node:test';
import { silentLogger } from '../../src/kernel/log.ts';
import type { Storage } from '../../src/storage/port.ts';
import { everyNth, type Fault } from '../../src/storage/wrap/fault-plan.ts';
import { withFaults } from '../../src/storage/wrap/faults.ts';
import { withLimit } from '../../src/storage/wrap/limit.ts';
import { withLog } from '../../src/storage/wrap/log.ts';
import { withRetry } from '../../src/storage/wrap/retry.ts';
import { cephBucket, withoutCeph, type CephBucket } from '../../testing/ceph.ts';
import { openCephStorage } from '../../testing/ceph-storage.ts';
import { storageConformance, type ConformanceSubject } from '../../testing/storage-conformance.ts';
import { TestClock } from './support.ts';

type Open = (bucket: CephBucket) => Promise<Storage>;

function buckets(open: Open, prepare?: (bucket: CephBucket) => Promise<unknown>) {
  return async (): Promise<ConformanceSubject> => {
    const bucket = await cephBucket();
    await prepare?.(bucket);
    return { storage: await open(bucket), second: () => open(bucket), cleanup: async () => {} };
  };
}

const plain: Open = (bucket) => openCephStorage(bucket);

/** Parts of the least size, so that the large objects are made of several. */
const inParts: Open = (bucket) => openCephStorage(bucket, { prefix: '', settings: { part_size: '5MiB' } });

const wrapped: Open = async (bucket) => {
  const clock = new TestClock();
  const retried = withRetry(await inParts(bucket), { clock, random: () => 0.5 });
  return withLog(withLimit(retried, { concurrency: 4 }), silentLogger, clock);
};

const faulty =
  (fault: Fault): Open =>
  async (bucket) => {
    const clock = new TestClock();
    const broken = withFaults(await plain(bucket), everyNth(3, fault), clock);
    return withRetry(broken, { clock, random: () => 0.5, attempts: 8 });
  };

const smaller = { objects: 100, largeBytes: 2_000_000 };
const skip = withoutCeph();
if (skip === false) {
  storageConformance('s3', buckets(plain), { objects: 1100, largeBytes: 8_000_000 });
  storageConformance('s3 in parts, with retry, limit and log', buckets(wrapped), {
    objects: 200,
    largeBytes: 12_000_000,
  });
  storageConformance(
    's3, every third call failing before',
    buckets(faulty({ kind: 'fail_before' })),
    smaller,
  );
  storageConformance('s3, every third answer lost', buckets(faulty({ kind: 'fail_after' })), smaller);
  storageConformance('s3, every third write torn', buckets(faulty({ kind: 'torn_write' })), smaller);
  // Ceph 16 overwrites in spite of the condition where a bucket has versioning, as others do anywhere.
  storageConformance('s3 with versioning, and no conditions', buckets(plain, withVersioning), smaller);
} else {
  test('storage conformance: s3', { skip });
}

async function withVersioning({ client, bucket }: CephBucket): Promise<void> {
  const VersioningConfiguration = { Status: 'Enabled' } as const;
  await client.send(new PutBucketVersioningCommand({ Bucket: bucket, VersioningConfiguration }));
}
