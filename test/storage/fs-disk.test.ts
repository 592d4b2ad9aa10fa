import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readdir, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { freeBytes } from '../../src/storage/fs/free-space.ts';
import { openFsStorage } from '../../src/storage/fs/open.ts';
import { ownMounts } from '../../testing/own-mounts.ts';
import { assertSame, namesOf, pattern, rejectsWith } from '../../testing/storage-conformance.ts';
import { mountSmall } from './small-mount.ts';
import { temporaryDirectory } from './support.ts';

const inside = 'HOLDFAST_TEST_OWN_MOUNTS';

if (process.env[inside] === undefined) {
  test('small, read-only, vanishing and foreign disks', async (t) => {
    const words = await ownMounts(t);
    if (words === undefined) return;
    const { NODE_TEST_CONTEXT: _, ...env } = process.env;
    const [command, ...args] = [...words, process.execPath, import.meta.filename];
    const { status, stdout, stderr } = spawnSync(command, args, {
      env: { ...env, [inside]: '1' },
      encoding: 'utf8',
    });
    assert.equal(status, 0, `${stdout}${stderr}`);
    assert.match(stdout, /pass 4\n/);
  });
} else {
  test('a full disk says storage_full, leaves nothing behind, and takes smaller objects', async () => {
    await using place = await temporaryDirectory();
    await using disk = await mountSmall(join(place.path, 'disk'));
    const storage = await openFsStorage(disk.path, { create: true });
    await storage.put('before', pattern(100_000, 1));
    const freeBefore = await freeBytes(disk.path);
    assert.ok(freeBefore > 1_000_000 && freeBefore < 2_000_000, String(freeBefore));
    const error = await rejectsWith('storage_full', storage.put('big', pattern(3_000_000, 2)));
    assert.match(error.message, /no space left in .* while writing big/);
    assert.deepEqual(await namesOf(storage.list('')), ['before']);
    assert.deepEqual(await readdir(join(disk.path, '.tmp')), []);
    assert.equal(await freeBytes(disk.path), freeBefore);
    await storage.put('small', pattern(1000, 3));
    assertSame(await storage.get('before'), pattern(100_000, 1));
  });

  test('a read-only disk can be read and listed; writing says storage_read_only', async () => {
    await using place = await temporaryDirectory();
    await using disk = await mountSmall(join(place.path, 'disk'));
    await (await openFsStorage(disk.path, { create: true })).put('one', pattern(10, 1));
    // Old litter must not make a reader fail.
    await writeFile(join(disk.path, '.tmp/litter'), 'x');
    await utimes(join(disk.path, '.tmp/litter'), 1, 1);
    await disk.makeReadOnly();
    const storage = await openFsStorage(disk.path, { create: false });
    assertSame(await storage.get('one'), pattern(10, 1));
    assert.deepEqual(await namesOf(storage.list('')), ['one']);
    await rejectsWith('storage_read_only', storage.put('two', pattern(10, 1)));
    await rejectsWith('storage_read_only', storage.delete('one'));
    await rejectsWith('storage_read_only', openFsStorage(disk.path, { create: true }));
    await rejectsWith('storage_read_only', openFsStorage(join(disk.path, 'new'), { create: true }));
  });

  test('an unmounted disk never reads as an empty repository', async () => {
    await using place = await temporaryDirectory();
    await using disk = await mountSmall(join(place.path, 'disk'));
    const storage = await openFsStorage(disk.path, { create: true });
    await storage.put('one', pattern(10, 1));
    await disk.unmount();
    await rejectsWith('storage_unreachable', namesOf(storage.list('')));
    await rejectsWith('storage_unreachable', storage.get('one'));
    await rejectsWith('storage_unreachable', storage.stat('one'));
    await rejectsWith('storage_unreachable', storage.put('two', pattern(10, 1)));
    await rejectsWith('storage_unreachable', storage.delete('one'));
    assert.deepEqual(await readdir(disk.path), [], 'nothing was written below the mount point');
  });

  test('a part of the repository on another disk says storage_layout, by name', async () => {
    await using place = await temporaryDirectory();
    const directory = join(place.path, 'repository');
    const storage = await openFsStorage(directory, { create: true });
    await using _disk = await mountSmall(join(directory, 'packs'));
    const error = await rejectsWith('storage_layout', storage.put('packs/one', pattern(10, 1)));
    assert.match(error.message, /packs\/one is on another file system/);
    assert.deepEqual(await namesOf(storage.list('')), []);
  });
}
