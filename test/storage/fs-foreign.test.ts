import assert from 'node:assert/strict';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { systemClock } from '../../src/kernel/clock.ts';
import { createRepository } from '../../src/repository/create.ts';
import { openFsStorage } from '../../src/storage/fs/open.ts';

const options = { key: null, clock: systemClock, host: 'h', user: 'u' };

for (const entry of ['Documents/', '.bashrc', 'IMG 0001.jpg', 'notes.txt']) {
  test(`a repository is not made beside foreign files: ${entry}`, async (t) => {
    const directory = await mkdtemp(join(tmpdir(), 'holdfast-foreign-'));
    t.after(() => rm(directory, { recursive: true, force: true }));
    if (entry.endsWith('/')) await mkdir(join(directory, entry));
    else await writeFile(join(directory, entry), 'mine');
    const storage = await openFsStorage(directory, { create: true, clock: systemClock });
    await assert.rejects(createRepository(storage, options), {
      errorName: 'repository_foreign',
      exitCode: 4,
    });
    assert.equal(await storage.foreign(), entry === 'notes.txt' ? undefined : entry.replace('/', ''));
  });
}

test('the root of a file system of its own is no foreign place', async (t) => {
  const directory = await mkdtemp(join(tmpdir(), 'holdfast-foreign-'));
  t.after(() => rm(directory, { recursive: true, force: true }));
  await mkdir(join(directory, 'lost+found'));
  const storage = await openFsStorage(directory, { create: true, clock: systemClock });
  await createRepository(storage, options);
});
