import assert from 'node:assert/strict';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { MemoryBackup } from '../../testing/memory-backup.ts';
import { tempDirectory } from '../../testing/temp.ts';
import { backUp, dump, integrity, leftIn, makeDatabase, names, needsSqlite3, restore } from './support.ts';

for (const journal of ['delete', 'wal'] as const) {
  for (const pageSize of [512, 4096, 65_536]) {
    test(`a database comes back: ${journal}, pages of ${pageSize}`, { skip: needsSqlite3 }, async () => {
      await using directory = await tempDirectory();
      const file = join(directory.path, 'data', 'app.db');
      const temporary = join(directory.path, 'tmp');
      mkdirSync(join(directory.path, 'data'));
      mkdirSync(temporary);
      makeDatabase(file, { journal, pageSize }).close();
      const memory = new MemoryBackup();
      const outcome = await backUp(memory, temporary, [file]);
      assert.deepEqual(outcome.warnings, []);
      assert.equal(outcome.incomplete, undefined);
      const target = join(directory.path, 'restored.db');
      const restored = await restore(memory, outcome, target);
      assert.equal(restored.checked, 1);
      assert.equal(integrity(target), 'ok');
      assert.equal(dump(target), dump(file));
      assert.deepEqual(
        names(join(directory.path, 'data')).filter((n) => n === 'app.db'),
        ['app.db'],
      );
      assert.deepEqual(leftIn(temporary), []);
    });
  }
}
