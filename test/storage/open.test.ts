import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { isFailure, type HoldfastError } from '../../src/kernel/errors/failure.ts';
import { openStorage, parseLocation } from '../../src/storage/open.ts';
import { namesOf, pattern, rejectsWith } from '../../testing/storage-conformance.ts';
import { defaultStorageSettings as settings } from '../../testing/storage-settings.ts';
import { temporaryDirectory, TestClock } from './support.ts';

const at = { cwd: '/work/place', home: '/home/ada' };

const directories: Readonly<Record<string, string>> = {
  './backups': '/work/place/backups',
  backups: '/work/place/backups',
  '.': '/work/place',
  '../up': '/work/up',
  '/srv/b': '/srv/b',
  '/srv/with space': '/srv/with space',
  './a:b': '/work/place/a:b',
  'file:///srv/b': '/srv/b',
  'FILE:///srv/a%20b': '/srv/a b',
  'file://localhost/srv/b': '/srv/b',
  '~/b': '/home/ada/b',
  '~': '/home/ada',
  'c:x': '/work/place/c:x',
};

for (const [location, directory] of Object.entries(directories)) {
  test(`${location} is ${directory}`, () => {
    assert.deepEqual(parseLocation(location, at), { scheme: 'file', directory });
  });
}

function refusal(location: string, options: Parameters<typeof parseLocation>[1] = at): HoldfastError {
  try {
    parseLocation(location, options);
  } catch (error) {
    if (isFailure(error)) return error;
    throw error;
  }
  return assert.fail(`${location} was accepted`);
}

for (const location of [
  '',
  '  ',
  'file:b',
  'file://host/b',
  'file:///b?x',
  'file:///b#x',
  'file:///a%2Fb',
  'ftp://h/x',
  'postgres://u@h/db',
  'foo:bar',
  'memory:x',
  '~ada/b',
  'a\0b',
]) {
  test(`${JSON.stringify(location)} is refused with storage_url`, () => {
    const error = refusal(location);
    assert.equal(error.errorName, 'storage_url');
    assert.equal(error.exitCode, 2);
  });
}

test('~ is refused where the home directory is not known', () => {
  assert.equal(refusal('~/b', { cwd: '/' }).errorName, 'storage_url');
});

test('an unknown scheme is told which are known', () => {
  const { message } = refusal('ftp://host/x');
  for (const known of ['"ftp"', 'path', 'file://', 's3://', 'gdrive://'])
    assert.ok(message.includes(known), message);
});

test('credentials in a location are not repeated', () => {
  for (const location of [
    'sftp://ada:hunter2@host/x',
    'ftp://ada:p@ss:hunter2@host/x',
    's3://b/x?secret=hunter2',
    'sftp://ada:p/hunter2@host/x',
    'foo:ada:hunter2@host',
  ]) {
    const error = refusal(location);
    assert.ok(!JSON.stringify(error).includes('hunter2'), error.message);
  }
});

test('opens files and memory', async () => {
  await using place = await temporaryDirectory();
  const options = { cwd: place.path, create: true, clock: new TestClock(), env: {}, settings };
  const relative = await openStorage('r', options);
  await relative.put('one', pattern(1, 1));
  assert.equal(relative.location, join(place.path, 'r'));
  const again = await openStorage(`file://${join(place.path, 'r')}`, { ...options, create: false });
  assert.deepEqual(await namesOf(again.list('')), ['one']);
  await rejectsWith('storage_missing', openStorage('other', { ...options, create: false }));
  const memory = await openStorage('memory:', options);
  await memory.put('one', pattern(1, 1));
  assert.deepEqual(await namesOf((await openStorage('memory:', options)).list('')), []);
});
