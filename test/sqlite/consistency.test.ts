import assert from 'node:assert/strict';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { test } from 'node:test';
import { databaseMetaSchema } from '../../src/sources/sqlite/metadata.ts';
import { MemoryBackup } from '../../testing/memory-backup.ts';
import { tempDirectory } from '../../testing/temp.ts';
import { addNotes, assertBalanced, backUp, leftIn, makeDatabase, restore, startWriter } from './support.ts';

for (const journal of ['delete', 'wal'] as const) {
  for (const pageSize of [512, 4096, 65_536]) {
    test(`backups are consistent while another process writes: ${journal}, pages of ${pageSize}`, async () => {
      await using directory = await tempDirectory();
      const file = join(directory.path, 'busy.db');
      const temporary = join(directory.path, 'tmp');
      mkdirSync(temporary);
      makeDatabase(file, { journal, pageSize, rows: 3000 }).close();
      const memory = new MemoryBackup();
      using writer = await startWriter(file);
      let moves = -1;
      for (let round = 0; round < 3; round += 1) {
        const target = join(directory.path, `restored-${round}.db`);
        const outcome = await backUp(memory, temporary, [file], { lockWaitMs: 30_000 });
        assert.deepEqual(outcome.warnings, []);
        assert.equal(databaseMetaSchema.parse(memory.entry('busy.db').meta).way, 'snapshot');
        await restore(memory, outcome, target);
        assertBalanced(target);
        const now = countMoves(target);
        assert.ok(now > moves, 'the writer came no further between two backups');
        moves = now;
        memory.becomePrevious(outcome.metadata);
      }
      assert.ok((await writer.stop()) > moves);
      assert.deepEqual(leftIn(temporary), []);
      assertBalanced(file);
    });
  }
}

function countMoves(file: string): number {
  const database = new DatabaseSync(file, { readOnly: true });
  try {
    return Number(database.prepare("SELECT count(*) AS n FROM notes WHERE text LIKE 'moved%'").get()?.['n']);
  } finally {
    database.close();
  }
}

test('in rollback mode a copy of several steps ends, though somebody commits between every two', async () => {
  await using directory = await tempDirectory();
  const file = join(directory.path, 'large.db');
  const database = makeDatabase(file, { rows: 0 });
  // More than the 64 MiB of a step.
  database.exec(`WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 900)
    INSERT INTO notes SELECT i, 'large', zeroblob(100000) FROM n`);
  addNotes(database, 1000, 1100);
  database.close();
  const memory = new MemoryBackup();
  using writer = await startWriter(file);
  const outcome = await backUp(memory, directory.path, [file], { lockWaitMs: 30_000, check: 'none' });
  assert.ok((await writer.stop()) > 0);
  const target = join(directory.path, 'restored.db');
  await restore(memory, outcome, target);
  assertBalanced(target);
});
