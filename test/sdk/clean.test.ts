import assert from 'node:assert/strict';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import {
  cleanOldBackups,
  createBackup,
  initRepository,
  isHoldfastError,
  listBackups,
  openRepository,
} from '../../src/sdk/index.ts';
import { tempDirectory } from '../../testing/temp.ts';

test('cleanOldBackups plans, forgets, and refuses what nobody can mean', async () => {
  await using directory = await tempDirectory();
  const docs = join(directory.path, 'docs');
  await mkdir(docs);
  await writeFile(join(docs, 'one'), 'contents');
  const options = {
    repository: join(directory.path, 'store'),
    cwd: directory.path,
    env: { HOME: directory.path, PATH: process.env['PATH'] },
    settings: { sources: { docs: { type: 'files', paths: [docs] } } },
  } as const;
  await initRepository({ ...options, encryption: false });
  for (let made = 0; made < 4; made += 1) await createBackup(options);

  const planned = await cleanOldBackups({ ...options, keep: 3, dryRun: true });
  assert.deepEqual(
    planned.plan.map(({ action, source }) => [action, source]),
    [
      ['forget', 'docs'],
      ['keep', 'docs'],
      ['keep', 'docs'],
      ['keep', 'docs'],
    ],
  );
  assert.deepEqual([planned.dry_run, planned.forgotten, planned.kept], [true, 1, 3]);
  assert.equal((await listBackups(options)).backups.length, 4);

  const done = await cleanOldBackups({ ...options, source: 'docs', retention: { keep_last: 2 } });
  assert.deepEqual([done.ok, done.forgotten], [true, 2]);
  await using repository = await openRepository({
    ...options,
    settings: { ...options.settings, retention: { keep_last: 1 } },
  });
  assert.equal((await repository.clean()).forgotten, 1);
  assert.equal((await repository.list()).backups.length, 1);

  const refused: readonly (readonly [object, string])[] = [
    [{}, 'retention_empty'],
    [{ keep: 0 }, 'retention_empty'],
    [{ retention: {} }, 'retention_empty'],
    [{ keep: -1 }, 'usage'],
    [{ keep: 1, retention: { keep_last: 2 } }, 'usage'],
    [{ retention: { keep_dayly: 2 } }, 'usage'],
    [{ retention: { keep_within: '6m' } }, 'usage'],
    [{ kepp: 2 }, 'usage'],
    [{ keep: 1, source: 'dosc' }, 'source_unknown'],
  ];
  for (const [more, name] of refused)
    await assert.rejects(
      () => cleanOldBackups({ ...options, ...more }),
      (error) => isHoldfastError(error) && error.errorName === name,
      JSON.stringify(more),
    );
});
