import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isFailure } from '../../src/kernel/errors/failure.ts';
import { parseLocation } from '../../src/storage/open.ts';

const at = { cwd: '/work/place' };

const locations: Readonly<Record<string, readonly [bucket: string, prefix: string]>> = {
  'gs://shop-backups': ['shop-backups', ''],
  'gs://shop-backups/': ['shop-backups', ''],
  'GS://shop.example.com/eu/Prod 1/': ['shop.example.com', 'eu/Prod 1/'],
  'gs://shop/a%20b': ['shop', 'a%20b/'],
};

for (const [location, [bucket, prefix]] of Object.entries(locations)) {
  test(`${location} is ${prefix === '' ? 'the whole' : prefix} of ${bucket}`, () => {
    assert.deepEqual(parseLocation(location, at), { scheme: 'gs', bucket, prefix });
  });
}

for (const location of [
  'gs:shop',
  'gs://',
  'gs:///x',
  'gs://Shop',
  'gs://a',
  'gs://a..b',
  'gs://shop//x',
  'gs://shop/../x',
  'gs://shop?x',
  'gs://shop/a\nb',
  'gs://key:hunter2@shop/x',
]) {
  test(`${JSON.stringify(location)} is refused`, () => {
    assert.throws(
      () => parseLocation(location, at),
      (error) => isFailure(error, 'storage_url') && !error.message.includes('hunter2'),
    );
  });
}
