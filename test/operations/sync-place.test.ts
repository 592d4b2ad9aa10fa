import assert from 'node:assert/strict';
import { cp, mkdtemp, readdir, rm, symlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { systemClock } from '../../src/kernel/clock.ts';
import { silentLogger } from '../../src/kernel/log.ts';
import { syncTo } from '../../src/operations/sync/sync.ts';
import { openFsStorage } from '../../src/storage/fs/open.ts';
import { patternedBytes } from '../../testing/bytes.ts';
import { backUp, bytesSource, makeRepository, silentProgress } from '../../testing/repository.ts';

const syncing = { signal: new AbortController().signal, log: silentLogger, progress: silentProgress };

test('one place under two names is no copy, a copy made with another tool is; nothing stays of the trial', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'holdfast-place-'));
  try {
    const at = (name: string): string => join(directory, name);
    const open = async (name: string) =>
      await openFsStorage(at(name), { create: name === 'one', clock: systemClock });
    await using repository = await makeRepository(await open('one'));
    await symlink(at('one'), at('link'));
    for (const full of [false, true]) {
      if (full) await backUp(repository, bytesSource({ a: patternedBytes(40_000, 1) }));
      for (const name of ['link', 'one/../one'])
        await assert.rejects(syncTo(repository, await open(name), syncing), { errorName: 'copy_same_place' });
      const left = (await readdir(at('one'), { recursive: true, withFileTypes: true })).filter(
        (entry) => entry.isFile() && entry.parentPath.includes('clock'),
      );
      assert.deepEqual(left, []);
    }
    await cp(at('one'), at('two'), { recursive: true });
    assert.deepEqual((await syncTo(repository, await open('two'), syncing)).problems, []);
    await backUp(repository, bytesSource({ b: patternedBytes(40_000, 2) }));
    assert.equal((await syncTo(repository, await open('two'), syncing)).copied.length, 1);
    assert.deepEqual((await syncTo(repository, await open('two'), syncing)).copied, []);
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
});
