import assert from 'node:assert/strict';
import { chmodSync, copyFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { test } from 'node:test';
import { passesOverRights } from '../../testing/privileges.ts';
import { MemoryBackup } from '../../testing/memory-backup.ts';
import { crashed, metaOf, place, state } from './place.ts';
import { addNotes, backUp, makeDatabase, names, restore } from './support.ts';

test('a journal that a crash has left is rolled back in a copy, never in place', async () => {
  await using where = await place();
  const original = join(where.data, 'live.db');
  makeDatabase(original, { rows: 2000 }).close();
  const file = join(where.data, 'hot.db');
  crashed(original, file, (database) => database.exec("BEGIN; UPDATE notes SET text = 'lost', extra = NULL"));
  rmSync(original);
  assert.ok(statSync(`${file}-journal`).size > 512);
  const before = state(where.data);
  const memory = new MemoryBackup();
  const outcome = await backUp(memory, where.temporary, [file]);
  assert.deepEqual(state(where.data), before);
  assert.match(outcome.warnings.join(), /HF-5116: .*hot\.db-journal/);
  assert.equal(metaOf(memory, 'hot.db').way, 'recovered');
  await restore(memory, outcome, where.restored);
  const restored = new DatabaseSync(where.restored);
  assert.equal(restored.prepare("SELECT count(*) AS n FROM notes WHERE text = 'lost'").get()?.['n'], 0);
  assert.equal(restored.prepare('SELECT count(*) AS n FROM notes').get()?.['n'], 2000);
  restored.close();
});

test('what a crash has left in a log is in the backup, and nothing is made beside the database', async () => {
  await using where = await place();
  const original = join(where.data, 'live.db');
  makeDatabase(original, { journal: 'wal', rows: 100 }).close();
  const file = join(where.data, 'left.db');
  crashed(original, file, (database) => addNotes(database, 101, 900));
  rmSync(original);
  const before = state(where.data);
  assert.deepEqual(names(where.data), ['left.db', 'left.db-wal']);
  const memory = new MemoryBackup();
  const outcome = await backUp(memory, where.temporary, [file]);
  assert.deepEqual(outcome.warnings, []);
  assert.deepEqual(state(where.data), before);
  await restore(memory, outcome, where.restored);
  const restored = new DatabaseSync(where.restored);
  assert.equal(restored.prepare('SELECT count(*) AS n FROM notes').get()?.['n'], 900);
  restored.close();
});

test('a log of another database is left out and named', async () => {
  await using where = await place();
  const other = join(where.data, 'other.db');
  const file = join(where.data, 'a.db');
  makeDatabase(other, { journal: 'wal', rows: 10 }).close();
  crashed(other, join(where.data, 'x.db'), (database) => addNotes(database, 11, 50));
  rmSync(other);
  const cases = [
    { make: { journal: 'delete' }, reason: /not in WAL mode/ },
    { make: { journal: 'wal', pageSize: 1024 }, reason: /4096 bytes, those of the database 1024/ },
  ] as const;
  for (const { make, reason } of cases) {
    makeDatabase(file, { ...make, rows: 300 }).close();
    copyFileSync(join(where.data, 'x.db-wal'), `${file}-wal`);
    const memory = new MemoryBackup();
    const outcome = await backUp(memory, where.temporary, [file]);
    assert.match(outcome.warnings.join(), /HF-5115: .*a\.db-wal/);
    assert.match(outcome.warnings.join(), reason);
    await restore(memory, outcome, where.restored);
    const restored = new DatabaseSync(where.restored);
    assert.equal(restored.prepare('SELECT count(*) AS n FROM notes').get()?.['n'], 300);
    restored.close();
    for (const one of [file, `${file}-wal`, where.restored, `${where.restored}-wal`])
      rmSync(one, { force: true });
  }
});

test('a log without its database is named', async () => {
  await using where = await place();
  makeDatabase(join(where.data, 'a.db')).close();
  writeFileSync(join(where.data, 'gone.db-wal'), 'something');
  const outcome = await backUp(new MemoryBackup(), where.temporary, [join(where.data, '*')]);
  assert.match(outcome.warnings.join(), /HF-5117: .*gone\.db-wal is here and its database is not/);
});

test('a log of another database that does not show is left out when the database is whole without it only', async () => {
  await using where = await place();
  const other = join(where.data, 'other.db');
  const file = join(where.data, 'a.db');
  makeDatabase(other, { journal: 'wal', rows: 4000 }).close();
  // Changes of a few pages of another database, which make nonsense in this one.
  crashed(other, join(where.data, 'x.db'), (database) =>
    database.exec('DELETE FROM notes WHERE id % 97 = 0'),
  );
  rmSync(other);
  makeDatabase(file, { journal: 'wal', rows: 300 }).close();
  copyFileSync(join(where.data, 'x.db-wal'), `${file}-wal`);
  const memory = new MemoryBackup();
  const outcome = await backUp(memory, where.temporary, [file]);
  assert.match(outcome.warnings.join(), /HF-5115: .*a\.db-wal .*with it, the database is damaged/);
  assert.equal(outcome.incomplete, undefined);
  await restore(memory, outcome, where.restored);
  const restored = new DatabaseSync(where.restored);
  assert.equal(restored.prepare('SELECT count(*) AS n FROM notes').get()?.['n'], 300);
  restored.close();
});

test('a log in a directory that may not be written, for others than root', async (context) => {
  if (passesOverRights()) return context.skip('root may write everywhere');
  await using where = await place();
  const original = join(where.temporary, 'live.db');
  makeDatabase(original, { journal: 'wal', rows: 100 }).close();
  const file = join(where.data, 'a.db');
  crashed(original, file, (database) => addNotes(database, 101, 400));
  rmSync(original);
  writeFileSync(`${file}-shm`, '');
  chmodSync(where.data, 0o555);
  const memory = new MemoryBackup();
  const outcome = await backUp(memory, where.temporary, [file]);
  chmodSync(where.data, 0o755);
  await restore(memory, outcome, where.restored);
  const restored = new DatabaseSync(where.restored);
  assert.equal(restored.prepare('SELECT count(*) AS n FROM notes').get()?.['n'], 400);
  restored.close();
});
