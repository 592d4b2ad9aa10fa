import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { s3Schema } from '../../src/contract/config-s3.ts';
import { isFailure, type HoldfastError } from '../../src/kernel/errors/failure.ts';
import { parseLocation } from '../../src/storage/open.ts';
import { parseS3Location } from '../../src/storage/s3/location.ts';
import { resolveS3Place, type S3Environment, type S3Place } from '../../src/storage/s3/place.ts';
import { rejectsWith } from '../../testing/storage-conformance.ts';
import { temporaryDirectory } from './support.ts';

async function place(
  location: string,
  settings: Readonly<Record<string, unknown>> = {},
  env: S3Environment = {},
): Promise<S3Place> {
  return await resolveS3Place(parseS3Location(location, location), s3Schema.parse(settings), env);
}

describe('locations in S3', () => {
  const good: Readonly<Record<string, readonly [bucket: string, prefix: string]>> = {
    's3://shop-backups': ['shop-backups', ''],
    's3://shop-backups/': ['shop-backups', ''],
    's3://shop.backups/db': ['shop.backups', 'db/'],
    's3://shop/a/b/': ['shop', 'a/b/'],
    's3://shop/With space/100%': ['shop', 'With space/100%/'],
    's3://shop/a?region=eu-1&path_style=true': ['shop', 'a/'],
  };
  for (const [location, [bucket, prefix]] of Object.entries(good)) {
    test(location, () => {
      const parsed = parseLocation(location, { cwd: '/' });
      assert.ok(parsed.scheme === 's3');
      assert.deepEqual([parsed.bucket, parsed.prefix], [bucket, prefix]);
    });
  }

  for (const location of [
    's3:shop',
    's3://',
    's3:///a',
    's3://ab',
    's3://shop//a',
    's3://shop/a//b',
    's3://shop/../b',
    's3://shop/./b',
    's3://shop/a\nb',
    's3://shop/a#b',
    's3://sh_/a',
    's3://key:hunter2@shop/a',
  ]) {
    test(`${JSON.stringify(location)} is refused`, () => {
      assert.throws(
        () => parseLocation(location, { cwd: '/' }),
        (error: unknown) => isFailure(error, 'storage_url') && !error.message.includes('hunter2'),
      );
    });
  }

  test('settings in a location hold for it alone, and only those that exist and are no secrets', async () => {
    const { settings, endpoint, region, location } = await place(
      's3://shop/a?endpoint=s3.example.com:9000&region=eu-1&path_style=false&part_size=8MiB&parallel_parts=2',
      { region: 'us-2' },
    );
    assert.equal(location, 's3://shop/a');
    assert.equal(endpoint, 'https://s3.example.com:9000');
    assert.equal(region, 'eu-1');
    assert.deepEqual(
      [settings.path_style, settings.part_size, settings.parallel_parts],
      [false, 8 * 2 ** 20, 2],
    );
    for (const query of [
      'secret_access_key=hunter2',
      'session_token=hunter2',
      'regoin=x',
      'part_size=1',
      'path_style=no',
    ]) {
      const error: HoldfastError = await rejectsWith('storage_url', place(`s3://shop/a?${query}`));
      assert.ok(!error.message.includes('hunter2'));
    }
  });
});

describe('where a bucket is', () => {
  test('AWS needs nothing but a region, which may be left to its own settings', async () => {
    const aws = await place('s3://shop', {}, {});
    assert.deepEqual(
      [aws.endpoint, aws.region, aws.isAws, aws.isPathStyle],
      [undefined, undefined, true, false],
    );
    assert.equal(
      (await place('s3://shop', {}, { AWS_REGION: 'eu-1', AWS_DEFAULT_REGION: 'x' })).region,
      'eu-1',
    );
    assert.equal((await place('s3://shop', {}, { AWS_DEFAULT_REGION: 'eu-1' })).region, 'eu-1');
    const { isAws, isPathStyle } = await place('s3://shop?endpoint=https://s3.eu-west-3.amazonaws.com');
    assert.deepEqual([isAws, isPathStyle], [true, false]);
  });

  test('others are told apart by their endpoint', async () => {
    const regions: Readonly<Record<string, string>> = {
      'http://127.0.0.1:9000': 'us-east-1',
      'https://minio.example.com': 'us-east-1',
      'https://s3.us-west-004.backblazeb2.com': 'us-west-004',
      'https://0123456789abcdef.r2.cloudflarestorage.com': 'auto',
      'https://s3.eu-central-2.wasabisys.com': 'eu-central-2',
      'https://s3.eu-west-3.amazonaws.com': 'eu-west-3',
    };
    for (const [endpoint, region] of Object.entries(regions)) {
      const found = await place('s3://shop', { endpoint });
      assert.equal(found.region, region, endpoint);
      assert.equal(found.isPathStyle, !found.isAws, endpoint);
    }
  });

  test('the endpoint of the settings comes before that of the environment, and that of S3 before the general one', async () => {
    const env = { AWS_ENDPOINT_URL: 'http://general', AWS_ENDPOINT_URL_S3: 'http://s3' };
    assert.equal((await place('s3://shop', { endpoint: 'mine' }, env)).endpoint, 'https://mine');
    assert.equal((await place('s3://shop', {}, env)).endpoint, 'http://s3');
    assert.equal((await place('s3://shop', {}, { AWS_ENDPOINT_URL: 'general' })).endpoint, 'https://general');
  });
});

describe('credentials for S3', () => {
  const env = {
    AWS_ACCESS_KEY_ID: 'env',
    AWS_SECRET_ACCESS_KEY: 'env-secret',
    AWS_SESSION_TOKEN: 'env-token',
  };

  test('of the settings, else of the environment, never half of each', async () => {
    const own = { access_key_id: 'own', secret_access_key: 'own-secret' };
    assert.deepEqual((await place('s3://shop', own, env)).credentials, {
      accessKeyId: 'own',
      secretAccessKey: 'own-secret',
    });
    assert.deepEqual((await place('s3://shop', {}, env)).credentials, {
      accessKeyId: 'env',
      secretAccessKey: 'env-secret',
      sessionToken: 'env-token',
    });
    assert.match(
      (await rejectsWith('s3_setting', place('s3://shop', { access_key_id: 'own' }, env))).message,
      /s3\.secret_access_key is not/,
    );
    assert.match(
      (await rejectsWith('s3_setting', place('s3://shop', { secret_access_key: 'own' }, env))).message,
      /s3\.access_key_id is not/,
    );
  });

  test('a profile comes before the keys of the environment', async () => {
    const named = await place('s3://shop', { profile: 'backups' }, env);
    assert.deepEqual([named.credentials, named.profile], [undefined, 'backups']);
    const found = await place('s3://shop', {}, { AWS_PROFILE: 'backups' });
    assert.deepEqual([found.credentials, found.profile], [undefined, 'backups']);
    assert.equal((await place('s3://shop', {}, { ...env, AWS_PROFILE: 'other' })).profile, undefined);
  });

  test('out of a file: its first line', async () => {
    await using directory = await temporaryDirectory();
    const file = join(directory.path, 'secret');
    await writeFile(file, 'from-file \nsecond\n');
    const settings = { access_key_id: 'own', secret_access_key_file: file };
    assert.equal((await place('s3://shop', settings)).credentials?.secretAccessKey, 'from-file');
    await writeFile(file, '\n');
    await rejectsWith('s3_setting', place('s3://shop', settings));
    const missing = { ...settings, secret_access_key_file: join(directory.path, 'none') };
    await rejectsWith('s3_setting', place('s3://shop', missing));
    await rejectsWith('s3_setting', place('s3://shop', { ca_file: join(directory.path, 'none') }));
  });

  test('classes that are not read at once, and a key of KMS without KMS, are refused', async () => {
    for (const name of ['GLACIER', 'DEEP_ARCHIVE', 'standard'])
      assert.ok(!s3Schema.safeParse({ storage_class: name }).success, name);
    for (const name of ['STANDARD_IA', 'GLACIER_IR', 'INTELLIGENT_TIERING'])
      assert.ok(s3Schema.safeParse({ storage_class: name }).success, name);
    await rejectsWith('s3_setting', place('s3://shop', { kms_key_id: 'x' }));
    await place('s3://shop', { kms_key_id: 'x', encryption: 'sse-kms' });
  });
});
