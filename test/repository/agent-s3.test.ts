import {
  DeleteObjectCommand,
  GetObjectCommand,
  PutBucketPolicyCommand,
  PutObjectCommand,
  S3Client,
} from '@aws-sdk/client-s3';
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { agentPolicy } from '../../src/app/agent-policy.ts';
import { s3Schema } from '../../src/contract/config-s3.ts';
import { systemClock } from '../../src/kernel/clock.ts';
import { silentLogger } from '../../src/kernel/log.ts';
import { verifyRepository } from '../../src/operations/verify.ts';
import { makeCredentials } from '../../src/repository/agent/credentials.ts';
import { openAsAgent } from '../../src/repository/agent/open.ts';
import { packObject } from '../../src/repository/layout.ts';
import { objectOf } from '../../src/repository/manifests.ts';
import { patternedBytes } from '../../testing/bytes.ts';
import { cephBucket, withoutCeph, type CephBucket } from '../../testing/ceph.ts';
import { openCephStorage } from '../../testing/ceph-storage.ts';
import {
  backUp,
  bytesSource,
  cacheDirectory,
  makeRepository,
  openTestRepository,
  readBack,
  silentProgress,
} from '../../testing/repository.ts';
import { putWal, walBytes, walInfo, mib } from '../../testing/wal-archive.ts';

const prefix = 'backups/shop/';
const contents = { a: patternedBytes(400_000, 8), b: Buffer.from('more') };

/** Gives the second user of the tests' Ceph what the printed policy says, and nothing else. */
async function allow(
  { client, bucket }: CephBucket,
  settings: Readonly<Record<string, unknown>>,
): Promise<void> {
  const policy = agentPolicy({ bucket, prefix, isAws: false, settings: s3Schema.parse(settings) });
  const statements = policy['Statement'] as Record<string, unknown>[];
  const Principal = { AWS: ['arn:aws:iam:::user/agent'] };
  const Statement = statements.map((statement) => ({ ...statement, Principal }));
  // In Ceph whoever stores an object owns it.
  const Resource = [`arn:aws:s3:::${bucket}`, `arn:aws:s3:::${bucket}/*`];
  const owner = { AWS: ['arn:aws:iam:::user/owner'] };
  const all = { Effect: 'Allow', Action: 's3:*', Resource, Principal: owner };
  const Policy = JSON.stringify({ ...policy, Statement: [...Statement, all] });
  await client.send(new PutBucketPolicyCommand({ Bucket: bucket, Policy }));
}

describe('an agent in S3', { skip: withoutCeph() }, () => {
  for (const lock of [false, true]) {
    test(`backs up and stores WAL with the rights of the printed policy${lock ? ', into a bucket with object lock' : ''}`, async () => {
      const bucket = await cephBucket({ lock });
      const settings = lock ? { object_lock: '1d' } : {};
      await allow(bucket, settings);
      await using owner = await makeRepository(await openCephStorage(bucket, { settings }));
      const about = { label: 'test', nowMs: Date.now() };
      const credentials = await makeCredentials(owner.storage, owner.pipelineKeys, about);
      const parts = {
        cacheDirectory: cacheDirectory(),
        clock: systemClock,
        log: silentLogger,
        host: 'h',
        user: 'u',
        path: 'p',
      };
      const open = async () =>
        await openAsAgent(await openCephStorage(bucket, { settings, user: 'agent' }), credentials, parts);
      await using agent = await open();
      const manifest = await backUp(agent, bytesSource(contents));
      await using again = await open();
      assert.equal((await backUp(again, bytesSource(contents))).stats.chunks_new, 0);
      const archive = await agent.walArchive(walInfo);
      assert.equal(await putWal(archive, 0, walBytes(0, mib)), 'stored');
      assert.equal(await putWal(archive, 0, walBytes(0, mib)), 'already_there');
      await using reader = await openTestRepository(await openCephStorage(bucket));
      const signal = new AbortController().signal;
      const verify = { signal, log: silentLogger, jobs: 1, progress: silentProgress, readData: true };
      assert.deepEqual((await verifyRepository(reader, verify)).problems, []);
      const back = await readBack(reader, manifest);
      assert.ok(back['a']?.equals(contents.a));
      await refusesAllElse(bucket, objectOf(manifest));
    });
  }
});

/** With the bare client: what somebody tries who has taken the machine over. */
async function refusesAllElse({ endpoint, bucket, users }: CephBucket, manifest: string): Promise<void> {
  const client = new S3Client({
    endpoint,
    region: 'us-east-1',
    forcePathStyle: true,
    credentials: users.agent,
  });
  const at = (name: string) => ({ Bucket: bucket, Key: prefix + name });
  const denied = { name: /AccessDenied|403|Unknown/ };
  await client.send(new GetObjectCommand(at('holdfast.json')));
  for (const name of [manifest, packObject('0'.repeat(64)), 'keys/x.json'])
    await assert.rejects(client.send(new GetObjectCommand(at(name))), denied, `get ${name}`);
  for (const name of [manifest, 'holdfast.json', 'gc/marks/x'])
    await assert.rejects(client.send(new DeleteObjectCommand(at(name))), denied, `delete ${name}`);
  for (const name of ['holdfast.json', 'keys/x.json', 'forgotten/x', 'gc/marks/x', 'index/x'])
    await assert.rejects(
      client.send(new PutObjectCommand({ ...at(name), Body: 'x' })),
      denied,
      `put ${name}`,
    );
  await assert.rejects(
    client.send(new PutObjectCommand({ Bucket: bucket, Key: 'elsewhere', Body: 'x' })),
    denied,
  );
  client.destroy();
}
