import assert from 'node:assert/strict';
import { chmod, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import type { ErrorName } from '../../src/kernel/errors/catalogue.ts';
import { realFsCalls, type FsCalls } from '../../src/storage/fs/calls.ts';
import { explainDenied } from '../../src/storage/fs/denied.ts';
import { openFsStorage } from '../../src/storage/fs/open.ts';
import { namesOf, pattern, rejectsWith } from '../../testing/storage-conformance.ts';
import { changedHandles, systemError } from './fs-calls.ts';
import { temporaryDirectory } from './support.ts';

const meanings: Readonly<Record<string, ErrorName>> = {
  EACCES: 'storage_denied',
  EPERM: 'storage_denied',
  EROFS: 'storage_read_only',
  ENOSPC: 'storage_full',
  EDQUOT: 'storage_full',
  EFBIG: 'storage_file_limit',
  EIO: 'storage_io',
  EXDEV: 'storage_layout',
  ELOOP: 'storage_layout',
  ENAMETOOLONG: 'storage_layout',
  ENOTEMPTY: 'storage_layout',
  ESTALE: 'storage_unreachable',
  ENOTCONN: 'storage_unreachable',
  ETIMEDOUT: 'storage_unreachable',
  EHOSTDOWN: 'storage_unreachable',
  ENODEV: 'storage_unreachable',
  EMFILE: 'storage_failed',
  ENFILE: 'storage_failed',
  ENOMEM: 'storage_failed',
  EBUSY: 'storage_failed',
  EUNHEARDOF: 'storage_failed',
};

for (const [errno, name] of Object.entries(meanings)) {
  test(`${errno} is ${name}, from every operation`, async () => {
    await using place = await temporaryDirectory();
    await (await openFsStorage(place.path, { create: true })).put('one', pattern(1, 1));
    const fail = async (): Promise<never> => {
      throw systemError(errno);
    };
    const broken: { value: Partial<FsCalls> } = { value: {} };
    const calls = new Proxy(realFsCalls, {
      get: (real, key) => Reflect.get({ ...real, ...broken.value }, key) as unknown,
    });
    const storage = await openFsStorage(place.path, { create: false, calls });
    broken.value = { open: fail, unlink: fail, readdir: fail };
    await rejectsWith(name, storage.put('two', pattern(1, 1)));
    await rejectsWith(name, storage.get('one'));
    await rejectsWith(name, storage.delete('one'));
    await rejectsWith(name, namesOf(storage.list('')));
    await rejectsWith(name, openFsStorage(place.path, { create: true, calls }));
    broken.value = { stat: fail };
    await rejectsWith(name, storage.stat('one'));
    await rejectsWith(name, namesOf(storage.list('')));
    await rejectsWith(name, openFsStorage(place.path, { create: false, calls }));
    broken.value = { link: fail };
    // EPERM is how file systems without hard links answer; that goes another way and succeeds.
    if (errno !== 'EPERM') await rejectsWith(name, storage.put('three', pattern(1, 1)));
    broken.value = {};
    assert.deepEqual(await namesOf(storage.list('')), ['one']);
  });
}

test('errors that are not of the system pass as they are', async () => {
  await using place = await temporaryDirectory();
  const bug = new TypeError('a bug');
  const calls: FsCalls = {
    ...realFsCalls,
    readdir: async () => {
      throw bug;
    },
  };
  await assert.rejects(openFsStorage(place.path, { create: false, calls }), bug);
});

test('a file system that cannot flush directories is accepted, one that fails to is not', async () => {
  await using place = await temporaryDirectory();
  await openFsStorage(place.path, { create: true });
  const failing = (errno: string): FsCalls => ({
    ...realFsCalls,
    open: async (path, flags, mode) => {
      const handle = await realFsCalls.open(path, flags, mode);
      if (path !== place.path) return handle;
      return Object.assign(handle, {
        sync: async () => {
          throw systemError(errno, 'fsync');
        },
      });
    },
  });
  await (
    await openFsStorage(place.path, { create: false, calls: failing('EINVAL') })
  ).put('one', pattern(1, 1));
  const storage = await openFsStorage(place.path, { create: false, calls: failing('EIO') });
  await rejectsWith('storage_io', storage.put('two', pattern(1, 1)));
});

test('a directory removed and made again by others is put into all the same', async () => {
  await using place = await temporaryDirectory();
  const storage = await openFsStorage(place.path, { create: true });
  await storage.put('a/b/one', pattern(1, 1));
  await rm(join(place.path, 'a'), { recursive: true });
  await rm(join(place.path, '.tmp'), { recursive: true });
  await storage.put('a/b/two', pattern(1, 1));
  assert.deepEqual(await namesOf(storage.list('')), ['a/b/two']);
});

test('a directory that vanishes again and again ends in storage_failed', async () => {
  await using place = await temporaryDirectory();
  const calls: FsCalls = {
    ...realFsCalls,
    link: async () => {
      throw systemError('ENOENT', 'link');
    },
  };
  const storage = await openFsStorage(place.path, { create: true, calls });
  const error = await rejectsWith('storage_failed', storage.put('one', pattern(1, 1)));
  assert.match(error.message, /its directory was removed while it was in use/);
});

test('a temporary file that cannot be removed does not spoil a finished put, and is logged', async () => {
  await using place = await temporaryDirectory();
  const warnings: string[] = [];
  const quiet = (): void => {};
  const logger = {
    debug: quiet,
    info: quiet,
    warn: (text: string) => void warnings.push(text),
    error: quiet,
    child: () => logger,
  };
  await openFsStorage(place.path, { create: true });
  const calls: FsCalls = {
    ...realFsCalls,
    unlink: async () => {
      throw systemError('EBUSY', 'unlink');
    },
  };
  const storage = await openFsStorage(place.path, { create: false, calls, logger });
  await storage.put('one', pattern(1, 1));
  assert.deepEqual(warnings, ['a temporary file could not be removed']);
});

test('a put aborted while its file is written removes the file', async () => {
  await using place = await temporaryDirectory();
  await openFsStorage(place.path, { create: true });
  const controller = new AbortController();
  const reason = new Error('enough');
  const calls = changedHandles({
    write: (real) => (buffer, offset, length) => {
      controller.abort(reason);
      return real(buffer, offset, length);
    },
  });
  const storage = await openFsStorage(place.path, { create: false, calls });
  await assert.rejects(storage.put('one', pattern(10_000_000, 1), { signal: controller.signal }), reason);
  assert.deepEqual(await realFsCalls.readdir(join(place.path, '.tmp')), []);
  assert.deepEqual(await namesOf(storage.list('')), []);
});

test('what mends a denial fits the case', async () => {
  await using place = await temporaryDirectory();
  await chmod(place.path, 0o700);
  const { reason, mend } = await explainDenied(join(place.path, 'a/b'), place.path);
  assert.match(reason, /belongs to \S+ \(uid \d+\) with mode 0700, and Holdfast runs as \S+ \(uid \d+\)/);
  assert.match(mend, process.geteuid?.() === 0 ? /root itself is refused.*lsattr -d/ : /chmod u\+rwX/);
});
