import { DeleteObjectCommand, ListObjectsV2Command, PutObjectCommand } from '@aws-sdk/client-s3';
import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { it } from 'node:test';
import { patternedBytes } from '../../testing/bytes.ts';
import { cephBucket, withoutCeph } from '../../testing/ceph.ts';
import { runInProcess } from './in-process.ts';
import { sandbox, type Json, type Ran } from './program-runner.ts';

function received(ran: Ran): number {
  const places = (ran.lines().at(-1) ?? {})['requests'] as { operations: Record<string, Json> }[];
  const counts = places.flatMap(({ operations }) => Object.values(operations));
  return counts.reduce((sum, count) => sum + Number(count['bytes_received']), 0);
}

it(
  'a restore out of a bucket pays for every byte once, and leaves nothing when one is wrong',
  {
    skip: withoutCeph(),
    timeout: 300_000,
  },
  async () => {
    const { bucket, endpoint, users, client } = await cephBucket();
    await using box = await sandbox();
    const { accessKeyId, secretAccessKey } = users.owner;
    mkdirSync(box.at('docs'));
    const size = 3_000_000;
    writeFileSync(box.at('docs', 'a'), patternedBytes(size, 1));
    const env = {
      HOLDFAST_PASSPHRASE: 'correct horse battery',
      HOLDFAST_REPOSITORY: `s3://${bucket}/shop`,
      HOLDFAST_S3_ENDPOINT: endpoint,
      HOLDFAST_S3_ACCESS_KEY_ID: accessKeyId,
      HOLDFAST_S3_SECRET_ACCESS_KEY: secretAccessKey,
    };
    const run = async (...args: string[]): Promise<Ran> => await runInProcess(box, args, { env });
    assert.equal((await run('init')).code, 0);
    assert.equal((await run('backup', '--from', 'files:docs')).code, 0);

    const once = await run('restore', 'latest', '--to', box.at('back'), '--json');
    assert.equal(once.code, 0, once.stderr);
    assert.deepEqual(readFileSync(box.at('back/a')), readFileSync(box.at('docs/a')));
    assert.ok(received(once) > size && received(once) < 1.3 * size, `${received(once)} bytes`);
    // In the place of something that is there all is read before anything is touched, and then again.
    const over = await run('restore', 'latest', '--to', box.at('back'), '--force', '--json');
    assert.equal(over.code, 0, over.stderr);
    assert.ok(received(over) > 1.9 * size, `${received(over)} bytes`);

    const { Contents = [] } = await client.send(
      new ListObjectsV2Command({ Bucket: bucket, Prefix: 'shop/packs/' }),
    );
    const [{ Key = '', Size = 0 } = {}] = Contents.toSorted((a, b) => (b.Size ?? 0) - (a.Size ?? 0));
    await client.send(new PutObjectCommand({ Bucket: bucket, Key, Body: patternedBytes(Size, 9) }));
    const wrong = await run('restore', 'latest', '--to', box.at('wrong'));
    assert.equal(wrong.code, 9, wrong.stderr);
    assert.match(wrong.stderr, /HF-3007/);
    assert.equal(existsSync(box.at('wrong')), false);
    await client.send(new DeleteObjectCommand({ Bucket: bucket, Key }));
    const gone = await run('restore', 'latest', '--to', box.at('gone'));
    assert.notEqual(gone.code, 0);
    assert.match(gone.stderr, /HF-2001|HF-3008/);
    assert.equal(existsSync(box.at('gone')), false);
  },
);
