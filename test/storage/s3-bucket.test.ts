import {
  GetBucketLifecycleConfigurationCommand,
  GetObjectCommand,
  ListObjectVersionsCommand,
  PutBucketLifecycleConfigurationCommand,
  PutBucketPolicyCommand,
  PutBucketVersioningCommand,
} from '@aws-sdk/client-s3';
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { after, describe, test } from 'node:test';
import { s3Schema } from '../../src/contract/config-s3.ts';
import { systemClock } from '../../src/kernel/clock.ts';
import type { PlaceConcern } from '../../src/storage/description.ts';
import { openStorage } from '../../src/storage/open.ts';
import { checkAccess } from '../../src/storage/s3/bucket.ts';
import { openS3Storage } from '../../src/storage/s3/open.ts';
import type { S3Storage } from '../../src/storage/s3/s3-storage.ts';
import { ceph, cephBucket, withoutCeph, type CephBucket } from '../../testing/ceph.ts';
import { openCephStorage } from '../../testing/ceph-storage.ts';
import { namesOf, pattern, rejectsWith } from '../../testing/storage-conformance.ts';
import { defaultStorageSettings } from '../../testing/storage-settings.ts';

const everything = ['s3:ListBucket', 's3:PutObject', 's3:GetObject', 's3:DeleteObject'];

describe('S3 buckets', { skip: withoutCeph() }, () => {
  const opened: S3Storage[] = [];
  after(() => Promise.all(opened.map((storage) => storage.close())));

  /** As `init` does it, in a bucket of that name. */
  async function init(
    bucket: string,
    createBucket: boolean,
    settings: Readonly<Record<string, unknown>> = {},
  ) {
    const { endpoint, users } = await ceph();
    const { accessKeyId, secretAccessKey } = users.owner;
    const told: PlaceConcern[] = [];
    const storage = await openS3Storage(
      { scheme: 's3', bucket, prefix: 'shop/', overrides: {} },
      {
        create: true,
        createBucket,
        notice: (concern) => told.push(concern),
        settings: s3Schema.parse({
          endpoint,
          access_key_id: accessKeyId,
          secret_access_key: secretAccessKey,
          ...settings,
        }),
        env: {},
        clock: systemClock,
      },
    );
    opened.push(storage);
    return { storage, told, messages: told.map(({ message }) => message).join('\n') };
  }

  const newName = (): string => `made-${randomBytes(8).toString('hex')}`;

  test('one that is not there is refused, and made and set up only when asked for', async () => {
    const name = newName();
    const error = await rejectsWith('s3_no_bucket', init(name, false));
    assert.match(error.hint, /init --create-bucket --repo s3:\/\/made-\w+\/shop/);
    const { storage, messages } = await init(name, true, { versions_expire: '9d' });
    assert.deepEqual((await storage.describe()).facts, {
      versioning: 'enabled',
      object_lock: 'off',
      public_access: 'blocked',
      encryption: 'none',
      versions_expire: '9 days',
      abandoned_uploads_expire: '2 days',
      endangering_rules: 'none',
    });
    // What this service lacks is told, and is no failure.
    assert.match(messages, /encryption by default is not known to this service/);
    assert.match(messages, /public ACLs/);
    assert.match(messages, /overwrites even when it is asked not to/);
    assert.deepEqual((await storage.describe()).concerns, []);
    await storage.put('keys/one', pattern(100, 1));
    assert.deepEqual(await namesOf(storage.list('')), ['keys/one']);
    assert.equal(await storage.foreign(), undefined);
    // Once more, as after a crash: nothing is wrong with it.
    await init(name, true);
  });

  test('one that is in use stays as it is, and what is of concern is told', async () => {
    const { bucket, client } = await cephBucket();
    const theirs = {
      ID: 'theirs',
      Status: 'Enabled' as const,
      Filter: { Prefix: '' },
      Expiration: { Days: 10 },
    };
    await client.send(
      new PutBucketLifecycleConfigurationCommand({
        Bucket: bucket,
        LifecycleConfiguration: { Rules: [theirs] },
      }),
    );
    const first = await init(bucket, false);
    await first.storage.put('keys/one', pattern(100, 1));
    const { storage, messages } = await init(bucket, true);
    assert.match(messages, /versioning is off/);
    assert.match(messages, /rule "theirs" deletes objects after 10 days, backups among them/);
    assert.match(messages, /public access is not blocked/);
    const { facts } = await storage.describe();
    assert.equal(facts['versioning'], 'off');
    assert.equal(facts['endangering_rules'], 'rule "theirs" deletes objects after 10 days');
  });

  test('rules of others stay in the lifecycle, and ours is there once', async () => {
    const { bucket, client } = await cephBucket();
    const theirs = {
      ID: 'logs',
      Status: 'Enabled' as const,
      Filter: { Prefix: 'logs/' },
      Expiration: { Days: 10 },
    };
    await client.send(
      new PutBucketLifecycleConfigurationCommand({
        Bucket: bucket,
        LifecycleConfiguration: { Rules: [theirs] },
      }),
    );
    await init(bucket, true);
    const { Rules: rules = [] } = await client.send(
      new GetBucketLifecycleConfigurationCommand({ Bucket: bucket }),
    );
    assert.deepEqual(rules.map(({ ID }) => ID ?? '').toSorted(), ['holdfast shop/', 'logs']);
    assert.deepEqual(
      rules.find(({ ID }) => ID === 'logs'),
      theirs,
    );
    const ours = rules.find(({ ID }) => ID !== 'logs');
    assert.equal(ours?.NoncurrentVersionExpiration?.NoncurrentDays, 30);
    assert.equal(ours?.Filter?.Prefix, 'shop/');
  });

  test('the missing permission is named', async () => {
    const needed: readonly (readonly [missing: string, operation: RegExp])[] = [
      ['s3:ListBucket', /lack s3:ListBucket on arn:aws:s3:::holdfast-\w+ /],
      ['s3:PutObject', /write .* lack s3:PutObject on arn:aws:s3:::holdfast-\w+\/backups\/shop\/\* /],
      ['s3:GetObject', /read .* lack s3:GetObject on arn:aws:s3:::holdfast-\w+\/backups\/shop\/\* /],
    ];
    for (const [missing, expected] of needed) {
      const storage = await asAgent(
        await cephBucket(),
        everything.filter((action) => action !== missing),
      );
      const error = await rejectsWith('storage_denied', checkAccess(storage.context, undefined));
      assert.match(error.message, expected);
      assert.equal(error.details['permission'], missing);
    }
    // Who may only add is told so, and may.
    const bucket = await cephBucket();
    const adds = await asAgent(bucket, everything.slice(0, 3));
    const told = await checkAccess(adds.context, undefined);
    assert.match(told.map(({ message }) => message).join(), /cannot delete \(s3:DeleteObject on/);
    await adds.put('packs/aa/aa', pattern(1000, 1));
    await rejectsWith('storage_denied', adds.delete('packs/aa/aa'));
  });

  test('an agent that may only list and put stores, and knows what it stored before', async () => {
    const bucket = await cephBucket();
    const agent = await asAgent(bucket, ['s3:ListBucket', 's3:PutObject']);
    await agent.put('packs/aa/aa', pattern(1000, 1));
    await agent.put('packs/aa/aa', pattern(1000, 1));
    await rejectsWith('object_exists', agent.put('packs/aa/aa', pattern(1000, 2)));
    await rejectsWith('object_exists', agent.put('packs/aa/aa', pattern(999, 1)));
    await rejectsWith('storage_denied', agent.get('packs/aa/aa'));
    await rejectsWith('storage_denied', agent.stat('packs/aa/aa'));
    assert.deepEqual(await namesOf(agent.list('')), ['packs/aa/aa']);
  });

  test('a delete hides with versioning, and is for good when the settings say so', async () => {
    const bucket = await cephBucket();
    await bucket.client.send(
      new PutBucketVersioningCommand({
        Bucket: bucket.bucket,
        VersioningConfiguration: { Status: 'Enabled' },
      }),
    );
    const left = async (): Promise<readonly [versions: number, markers: number]> => {
      const { Versions: versions = [], DeleteMarkers: markers = [] } = await bucket.client.send(
        new ListObjectVersionsCommand({ Bucket: bucket.bucket, Prefix: 'backups/shop/wal/' }),
      );
      return [versions.length, markers.length];
    };
    const hiding = await openCephStorage(bucket);
    const erasing = await openCephStorage(bucket, { settings: { delete_versions: true } });
    opened.push(hiding, erasing);
    await hiding.put('wal/a', pattern(10, 1));
    await hiding.delete('wal/a');
    await rejectsWith('object_missing', hiding.get('wal/a'));
    assert.deepEqual(await left(), [1, 1]);
    await erasing.delete('wal/a');
    assert.deepEqual(await left(), [0, 0]);
    await erasing.put('wal/a', pattern(10, 2));
    await erasing.put('wal/ab', pattern(10, 2));
    await erasing.delete('wal/a');
    assert.deepEqual(await left(), [1, 0]);
  });

  test('packs get the storage class that is set, and nothing else does', async () => {
    const bucket = await cephBucket();
    const storage = await openCephStorage(bucket, {
      settings: { storage_class: 'STANDARD_IA', part_size: '5MiB' },
    });
    opened.push(storage);
    const big = pattern(6_000_000, 1);
    const names = [
      'packs/aa/aa',
      'packs/aa/bb',
      'snapshots/1',
      'holdfast.json',
      'index/1',
      'wal/x/1',
      'keys/1',
    ];
    for (const name of names) await storage.put(name, name.endsWith('bb') ? big : pattern(100, 1));
    for (const name of names) {
      const { StorageClass, Body } = await bucket.client.send(
        new GetObjectCommand({ Bucket: bucket.bucket, Key: `backups/shop/${name}` }),
      );
      await Body?.transformToByteArray();
      assert.equal(StorageClass, name.startsWith('packs/') ? 'STANDARD_IA' : undefined, name);
    }
  });

  test('encryption that the service cannot do is refused before anything is stored', async () => {
    const { bucket } = await cephBucket();
    const error = await rejectsWith('s3_setting', init(bucket, false, { encryption: 'sse-s3' }));
    assert.match(error.message, /cannot encrypt with sse-s3/);
  });

  test('what lies beside is seen, and a folder of a web console is none', async () => {
    const bucket = await cephBucket();
    const storage = await openCephStorage(bucket, { prefix: '' });
    opened.push(storage);
    await storage.put('keys/one', pattern(10, 1));
    assert.equal(await storage.foreign(), undefined);
    const other = await openCephStorage(bucket, { prefix: 'Holiday photos/' });
    opened.push(other);
    await other.put('img', pattern(10, 1));
    assert.equal(await storage.foreign(), 'Holiday photos');
    assert.equal(await other.foreign(), undefined);
    assert.deepEqual(await namesOf(storage.list('')), ['keys/one']);
  });

  test('openStorage takes a location with settings of its own, and secrets from the environment', async () => {
    const { endpoint, bucket, users } = await cephBucket();
    const storage = await openStorage(
      `s3://${bucket}/a/b?endpoint=${encodeURIComponent(endpoint)}&region=eu-1`,
      {
        cwd: '/',
        create: true,
        clock: systemClock,
        settings: defaultStorageSettings,
        env: {
          AWS_ACCESS_KEY_ID: users.owner.accessKeyId,
          AWS_SECRET_ACCESS_KEY: users.owner.secretAccessKey,
        },
      },
    );
    assert.equal(storage.location, `s3://${bucket}/a/b`);
    await storage.put('one', pattern(1, 1));
    assert.deepEqual(await namesOf(storage.list('')), ['one']);
    assert.equal(storage.requests?.['ListObjectsV2']?.failed, 0);
    await storage.close();
  });

  /** The other user, whom a policy of the bucket permits those actions. */
  async function asAgent(bucket: CephBucket, actions: readonly string[]): Promise<S3Storage> {
    const resources = [`arn:aws:s3:::${bucket.bucket}`, `arn:aws:s3:::${bucket.bucket}/*`];
    const who = { Principal: { AWS: ['arn:aws:iam:::user/agent'] }, Resource: resources };
    // Who has stored an object owns it in Ceph, and may read it unless that is forbidden.
    const others = everything.filter((action) => !actions.includes(action));
    const statements = [
      { Effect: 'Allow', Action: actions, ...who },
      { Effect: 'Deny', Action: others, ...who },
    ].filter(({ Action }) => Action.length > 0);
    const Policy = JSON.stringify({ Version: '2012-10-17', Statement: statements });
    await bucket.client.send(new PutBucketPolicyCommand({ Bucket: bucket.bucket, Policy }));
    const storage = await openCephStorage(bucket, { user: 'agent' });
    opened.push(storage);
    return storage;
  }
});
