import assert from 'node:assert/strict';
import { constants, readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { realFsCalls, type FsCalls } from '../../src/storage/fs/calls.ts';
import { openFsStorage } from '../../src/storage/fs/open.ts';
import { assertSame, namesOf, pattern, rejectsWith } from '../../testing/storage-conformance.ts';
import { changedHandles, recordingCalls, systemError, withoutHardLinks } from './fs-calls.ts';
import { temporaryDirectory, TestClock } from './support.ts';

test('a put flushes the file, then links it, then flushes every directory that changed', async () => {
  await using place = await temporaryDirectory();
  const calls = recordingCalls(place.path);
  const storage = await openFsStorage(place.path, { create: true, calls });
  calls.record.length = 0;
  await storage.put('packs/aa/one', pattern(100, 1));
  assert.deepEqual(calls.record, [
    'write /.tmp/*',
    'sync /.tmp/*',
    'mkdir /packs',
    'sync /',
    'mkdir /packs/aa',
    'sync /packs',
    'link /packs/aa/one',
    'sync /packs/aa',
    'unlink /.tmp/*',
  ]);
});

test('a directory another process made is flushed too, as that one may not have come to it', async () => {
  await using place = await temporaryDirectory();
  await (await openFsStorage(place.path, { create: true })).put('packs/one', pattern(1, 1));
  const calls = recordingCalls(place.path);
  const storage = await openFsStorage(place.path, { create: false, calls });
  await storage.put('packs/two', pattern(1, 2));
  assert.deepEqual(calls.record, [
    'write /.tmp/*',
    'sync /.tmp/*',
    'sync /',
    'link /packs/two',
    'sync /packs',
    'unlink /.tmp/*',
  ]);
});

test('the same bytes again are flushed before they count, as their writer may have crashed', async () => {
  await using place = await temporaryDirectory();
  const calls = recordingCalls(place.path);
  const storage = await openFsStorage(place.path, { create: true, calls });
  await storage.put('one', pattern(100, 1));
  calls.record.length = 0;
  await storage.put('one', pattern(100, 1));
  assert.deepEqual(calls.record, ['write /.tmp/*', 'sync /.tmp/*', 'sync /one', 'sync /', 'unlink /.tmp/*']);
});

test('a delete flushes the directory, also when the object was gone', async () => {
  await using place = await temporaryDirectory();
  const calls = recordingCalls(place.path);
  const storage = await openFsStorage(place.path, { create: true, calls });
  await storage.put('a/one', pattern(100, 1));
  calls.record.length = 0;
  await storage.delete('a/one');
  await storage.delete('a/one');
  assert.deepEqual(calls.record, ['unlink /a/one', 'sync /a', 'sync /a']);
});

test('a new repository directory is flushed into its parents', async () => {
  await using place = await temporaryDirectory();
  const calls = recordingCalls(place.path);
  await openFsStorage(join(place.path, 'x/y'), { create: true, calls });
  assert.deepEqual(calls.record.slice(0, 6), [
    'mkdir /x',
    'sync /',
    'mkdir /x/y',
    'sync /x',
    'mkdir /x/y/.tmp',
    'sync /x/y',
  ]);
});

test('without hard links: flushed, claimed, renamed, flushed, and the claim given back', async () => {
  await using place = await temporaryDirectory();
  const recording = recordingCalls(place.path);
  const calls = { ...recording, link: withoutHardLinks.link };
  const storage = await openFsStorage(place.path, { create: true, calls });
  recording.record.length = 0;
  await storage.put('one', pattern(100, 1));
  const steps = recording.record.map((step) => step.replace(/claim-.*/, 'claim'));
  assert.deepEqual(steps, ['write /.tmp/*', 'sync /.tmp/*', 'rename /one', 'sync /', 'unlink /.tmp/claim']);
  assert.deepEqual(await readdir(join(place.path, '.tmp')), []);
});

test('a claim left by a crash says so after a bounded wait, and is swept after a day', async () => {
  await using place = await temporaryDirectory();
  const clock = new TestClock();
  let crash = true;
  const calls: typeof withoutHardLinks = {
    ...withoutHardLinks,
    unlink: async (path) => {
      if (crash && String(path).includes('claim-')) return;
      await realFsCalls.unlink(path);
    },
  };
  const storage = await openFsStorage(place.path, { create: true, clock, calls });
  await storage.put('one', pattern(100, 1));
  crash = false;
  await storage.put('two', pattern(100, 1));
  const error = await rejectsWith('storage_claimed', storage.put('one', pattern(100, 1)));
  assert.match(error.message, /for 10 s/);
  assert.match(error.hint, /\.tmp\/claim-[0-9a-f]{64}$/);
  assert.ok(clock.sleeps.length < 1000);
});

test('short writes are gone on with', async () => {
  await using place = await temporaryDirectory();
  const calls = changedHandles({
    write: (real) => (buffer, offset, length) => real(buffer, offset, Math.min(length, 777)),
  });
  const storage = await openFsStorage(place.path, { create: true, calls });
  await storage.put('short', [pattern(10_000, 1), pattern(5, 2)]);
  assertSame(await storage.get('short'), Buffer.concat([pattern(10_000, 1), pattern(5, 2)]));
});

const { O_CREAT, O_DIRECT } = constants;
const mib = 1024 * 1024;
const large = [
  [pattern(mib, 1)],
  [pattern(mib - 1, 1), pattern(2, 2)],
  [pattern(64, 1), pattern(4 * mib - 64, 2)],
  [pattern(5 * mib + 4097, 3), pattern(0, 4), pattern(70_000, 5)],
];

test('large objects of any size are written whole, and to the disk itself where it can be', async () => {
  await using place = await temporaryDirectory();
  const flags: number[] = [];
  const open: FsCalls['open'] = async (path, how, mode) => {
    if (typeof how === 'number' && (how & O_CREAT) !== 0) flags.push(how & O_DIRECT);
    return await realFsCalls.open(path, how, mode);
  };
  const storage = await openFsStorage(place.path, { create: true, calls: { ...realFsCalls, open } });
  flags.length = 0;
  for (const [index, parts] of large.entries()) {
    await storage.put(`large-${index}`, parts);
    assertSame(await storage.get(`large-${index}`), Buffer.concat(parts));
  }
  assert.deepEqual(flags, Array(large.length).fill(O_DIRECT));
  assert.deepEqual(await readdir(join(place.path, '.tmp')), []);
});

for (const where of ['opening', 'writing'] as const) {
  test(`a file system that refuses to be written to directly at ${where} is written to as ever`, async () => {
    await using place = await temporaryDirectory();
    const open: FsCalls['open'] = async (path, how, mode) => {
      const handle = await realFsCalls.open(path, how, mode);
      if (typeof how !== 'number' || (how & O_DIRECT) === 0) return handle;
      if (where === 'opening') {
        await handle.close();
        throw systemError('EINVAL', 'open');
      }
      return Object.assign(handle, {
        write: async () => await Promise.reject(systemError('EINVAL', 'write')),
      });
    };
    const storage = await openFsStorage(place.path, { create: true, calls: { ...realFsCalls, open } });
    for (const [index, parts] of large.entries()) {
      await storage.put(`large-${index}`, parts);
      assertSame(await storage.get(`large-${index}`), Buffer.concat(parts));
    }
    assert.deepEqual(await readdir(join(place.path, '.tmp')), []);
  });
}

test('a disk that takes nothing and says nothing ends in storage_full', async () => {
  await using place = await temporaryDirectory();
  await openFsStorage(place.path, { create: true });
  const calls = changedHandles({ write: () => async () => ({ bytesWritten: 0 }) });
  const storage = await openFsStorage(place.path, { create: false, calls });
  await rejectsWith('storage_full', storage.put('one', pattern(10, 1)));
});

test('a flush that fails fails the put, and nothing is visible', async () => {
  await using place = await temporaryDirectory();
  await openFsStorage(place.path, { create: true });
  const calls = changedHandles({
    sync: () => async () => {
      throw systemError('EIO', 'fsync');
    },
  });
  const storage = await openFsStorage(place.path, { create: false, calls });
  const error = await rejectsWith('storage_io', storage.put('one', pattern(10, 1)));
  assert.equal(error.retryable, false);
  assert.deepEqual(await namesOf(storage.list('')), []);
  assert.deepEqual(await readdir(join(place.path, '.tmp')), []);
});

test('objects are 0400, directories 0700', async () => {
  await using place = await temporaryDirectory();
  const directory = join(place.path, 'repository');
  const storage = await openFsStorage(directory, { create: true });
  await storage.put('packs/one', pattern(10, 1));
  const modeOf = async (path: string): Promise<number> => (await stat(path)).mode & 0o777;
  assert.equal(await modeOf(join(directory, 'packs/one')), 0o400);
  for (const path of [directory, join(directory, 'packs'), join(directory, '.tmp')])
    assert.equal(await modeOf(path), 0o700);
});
