import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import { it } from 'node:test';
import { patternedBytes } from '../../testing/bytes.ts';
import { cephBucket, withoutCeph } from '../../testing/ceph.ts';
import { runInProcess } from './in-process.ts';
import { sandbox, type Json, type Ran } from './program-runner.ts';

/** How often each operation was asked for, in every place. */
function asked(ran: Ran): Record<string, Record<string, number>> {
  const last = ran.stdout.includes('\n{') ? (ran.lines().at(-1) ?? {}) : ran.json();
  const places = last['requests'] as { location: string; operations: Record<string, Json> }[] | undefined;
  assert.ok(places !== undefined, ran.stdout);
  return Object.fromEntries(
    places.map(({ location, operations }) => [
      location,
      Object.fromEntries(
        Object.entries(operations).map(([name, count]) => [name, Number(count['requests'])]),
      ),
    ]),
  );
}

it(
  'every summary says what was asked of S3, and the estimate of cost is of that order',
  { skip: withoutCeph(), timeout: 300_000 },
  async (test) => {
    const { bucket, endpoint, users } = await cephBucket();
    await using box = await sandbox();
    const { accessKeyId, secretAccessKey } = users.owner;
    mkdirSync(box.at('docs'));
    writeFileSync(box.at('docs', 'a'), patternedBytes(2_000_000, 1));
    writeFileSync(
      box.at('holdfast.yaml'),
      `repositories:
  main: { url: s3://${bucket}/main }
  copy: { url: s3://${bucket}/copy, with_backup: false }
s3: { endpoint: "${endpoint}", access_key_id: ${accessKeyId}, price_storage: 1000000, price_puts: 1000, price_gets: 1 }
sources: { docs: { type: files, paths: [docs] } }
`,
    );
    const env = {
      HOLDFAST_PASSPHRASE: 'correct horse battery',
      HOLDFAST_S3_SECRET_ACCESS_KEY: secretAccessKey,
    };
    const ok = async (...args: string[]): Promise<Ran> => {
      const ran = await runInProcess(box, args, { env });
      assert.equal(ran.code, 0, ran.stderr);
      return ran;
    };
    await ok('init');
    const main = `s3://${bucket}/main`;
    const first = asked(await ok('backup', '--json'))[main] ?? {};
    assert.ok((first['PutObject'] ?? 0) >= 3 && (first['ListObjectsV2'] ?? 0) >= 1, JSON.stringify(first));
    writeFileSync(box.at('docs', 'b'), patternedBytes(500_000, 2));
    const second = asked(await ok('backup', '--json'))[main] ?? {};
    test.diagnostic(`a second backup: ${JSON.stringify(second)}`);

    const told = (await ok('backup')).stderr;
    assert.match(told, new RegExp(`${main}: .*\\d+ PutObject.*sent, .*received`));
    const synced = asked(await ok('sync', '--json'));
    assert.deepEqual(
      Object.keys(synced).toSorted((a, b) => a.localeCompare(b)),
      [`s3://${bucket}/copy`, main],
    );
    for (const args of [
      ['verify'],
      ['prune'],
      ['size'],
      ['status', '--sizes'],
      ['list'],
      ['restore', 'latest', '--to', box.at('back')],
    ])
      assert.ok(Object.keys(asked(await ok(...args, '--json'))[main] ?? {}).length > 0, args.join(' '));
    assert.doesNotMatch((await ok('list')).stderr, /ListObjectsV2/);

    // With a price of 1 for a request that stores or lists, the cost is their number.
    const { cost, repository } = (await ok('size', '--json')).json() as { cost: Json; repository: Json };
    const counted = 3 * ((second['PutObject'] ?? 0) + (second['ListObjectsV2'] ?? 0));
    const estimated = Number(cost['requests_per_month']);
    test.diagnostic(`estimated ${estimated}, counted ${counted}`);
    assert.ok(estimated > counted / 2 && estimated < counted * 2, `${estimated} is not ${counted}`);
    const expected = (Number(repository['total_bytes']) / 2 ** 30) * 1_000_000;
    assert.ok(Math.abs(Number(cost['storage_per_month']) - expected) < 0.01);
    assert.match((await ok('size')).stdout, /about \d+\.\d\d a month, an estimate: .*your settings/);
    const places = (await ok('status', '--sizes', '--json')).json()['places'] as { cost: Json }[];
    assert.equal(places.length, 2);
    assert.ok(places.every((place) => Number(place.cost['storage_per_month']) > 0));
  },
);
