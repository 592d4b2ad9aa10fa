import assert from 'node:assert/strict';
import { statSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { isFailure } from '../../src/kernel/errors/failure.ts';
import { MemoryBackup } from '../../testing/memory-backup.ts';
import { tempDirectory } from '../../testing/temp.ts';
import { rowsOf, startBriefWriter } from './brief-writer.ts';
import { backUp, integrity, leftIn, makeDatabase, names, restore } from './support.ts';

const rounds = 25;

/** The databases of a directory: the live one, and those that were kept. */
function databases(directory: string): string[] {
  return names(directory).filter((name) => !/-(?:wal|shm|journal)$/.test(name));
}

for (const journal of ['wal', 'delete'] as const) {
  test(`nothing that a writer was told is committed is lost by restores in its place (${journal})`, async (context) => {
    await using directory = await tempDirectory();
    const data = join(directory.path, 'data');
    const memory = new MemoryBackup();
    const original = join(directory.path, 'x.db');
    const database = makeDatabase(original, { journal, rows: 300 });
    database.exec('CREATE TABLE acknowledged (id INTEGER PRIMARY KEY, text TEXT)');
    database.close();
    const outcome = await backUp(memory, directory.path, [original]);
    const file = join(data, 'x.db');
    await restore(memory, outcome, file);
    using writer = await startBriefWriter(file, journal);
    let placed = 0;
    for (let round = 0; round < rounds; round += 1) {
      const before = { kept: databases(data).length, inode: statSync(file).ino };
      try {
        const { warnings } = await restore(memory, outcome, file, { force: true, check: false });
        assert.deepEqual(
          warnings.filter((warning) => !warning.startsWith('HF-5123')),
          [],
        );
        placed += 1;
      } catch (error) {
        if (!isFailure(error) || error.code !== 'HF-5118') throw error;
        assert.deepEqual({ kept: databases(data).length, inode: statSync(file).ino }, before);
      }
    }
    await writer.stop();
    const kept = databases(data);
    context.diagnostic(`${writer.acknowledged.length} commits, ${placed} of ${rounds} restores`);
    assert.deepEqual(writer.unexpected, []);
    assert.equal(kept.length, placed + 1);
    const found = new Set<number>();
    for (const name of kept) {
      assert.equal(integrity(join(data, name)), 'ok', name);
      for (const row of rowsOf(join(data, name))) found.add(row);
    }
    assert.deepEqual(
      writer.acknowledged.filter((row) => !found.has(row)),
      [],
    );
    assert.deepEqual(leftIn(data), []);
  });
}
