import assert from 'node:assert/strict';
import { mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { systemClock } from '../../src/kernel/clock.ts';
import { silentLogger } from '../../src/kernel/log.ts';
import { restoreBackup, restoreContext } from '../../src/operations/restore.ts';
import type { BackupSource } from '../../src/operations/contract.ts';
import { backupFiles } from '../../src/sources/files/backup/backup.ts';
import { planFilesRestore, runFilesRestore } from '../../src/sources/files/restore/restore.ts';
import { MemoryStorage } from '../../src/storage/memory/memory-storage.ts';
import { filesOptions } from '../../testing/files-backup.ts';
import { backUp, makeRepository, silentProgress } from '../../testing/repository.ts';
import { tempDirectory } from '../../testing/temp.ts';
import { attributes, differences, listing, makeTree, opened, optionsFor } from './restore-support.ts';

function filesSource(...paths: readonly string[]): BackupSource {
  return { name: 'tree', kind: 'files', backup: (context) => backupFiles(filesOptions(paths), context) };
}

test('what was backed up into a repository comes back from it, by worker threads', async () => {
  await using work = await tempDirectory();
  const original = join(work.path, 'original');
  await makeTree(original);
  await using _opened = opened(work.path);
  await using repository = await makeRepository(new MemoryStorage(systemClock));
  const manifest = await backUp(repository, filesSource(original));
  const { signal } = new AbortController();
  const context = { signal, log: silentLogger, jobs: 2, progress: silentProgress };
  const target = join(work.path, 'restored');
  const plan = await planFilesRestore(optionsFor(target), restoreContext(repository, manifest, context));
  const restored = await restoreBackup(
    repository,
    manifest,
    { needs: plan.needs, restore: (running) => runFilesRestore(plan, running) },
    context,
  );
  assert.deepEqual(restored.warnings, []);
  assert.equal(await differences(original, target), '');
  assert.deepEqual(await listing(target), await listing(original));
  assert.equal(await attributes(target), await attributes(original));
});

function namesIn(directory: string): string[] {
  return readdirSync(directory, { recursive: true, encoding: 'utf8' }).toSorted((one, other) =>
    one < other ? -1 : 1,
  );
}

test('several paths come back each in a directory of its name, single files as they are', async () => {
  await using work = await tempDirectory();
  for (const name of ['one', 'two']) mkdirSync(join(work.path, name));
  for (const name of ['one/a', 'two/b', 'single']) writeFileSync(join(work.path, name), name);
  await using repository = await makeRepository(new MemoryStorage(systemClock));
  const paths = ['two', 'single', 'one'].map((name) => join(work.path, name));
  const manifest = await backUp(repository, filesSource(...paths));
  const { signal } = new AbortController();
  const context = restoreContext(repository, manifest, {
    signal,
    log: silentLogger,
    jobs: 1,
    progress: silentProgress,
  });
  const target = join(work.path, 'target');
  await runFilesRestore(await planFilesRestore(optionsFor(target), context), context);
  assert.deepEqual(namesIn(target), ['one', 'one/a', 'single', 'two', 'two/b']);
  const chosen = join(work.path, 'chosen');
  const only = [join(work.path, 'two/b')];
  await runFilesRestore(await planFilesRestore(optionsFor(chosen, { only }), context), context);
  assert.deepEqual(namesIn(chosen), ['two', 'two/b']);
});
