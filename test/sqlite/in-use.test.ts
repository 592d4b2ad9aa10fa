import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, rmSync, truncateSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { test } from 'node:test';
import { backupSqlite } from '../../src/sources/sqlite/backup/backup.ts';
import { MemoryBackup } from '../../testing/memory-backup.ts';
import { metaOf, place, state } from './place.ts';
import { addNotes, backUp, backupOptions, integrity, makeDatabase, names, restore } from './support.ts';

test('a database that stays locked is given up, and who holds it is named', async () => {
  await using where = await place();
  const file = join(where.data, 'a.db');
  const writer = makeDatabase(file);
  writer.exec('BEGIN EXCLUSIVE; DELETE FROM notes');
  const given = backUp(new MemoryBackup(), where.temporary, [file], { lockWaitMs: 300 });
  await assert.rejects(given, { code: 'HF-5106', message: /locked for all of the 0\.3 s/ });
  writer.exec('ROLLBACK');
  writer.close();
});

test('a database in use leaves the files beside it as they were, in every journal mode', async () => {
  for (const journal of ['delete', 'truncate', 'persist', 'memory', 'wal'] as const) {
    await using where = await place();
    const file = join(where.data, 'a.db');
    const database = makeDatabase(file, { journal });
    addNotes(database, 1000, 1100);
    const before = names(where.data);
    const memory = new MemoryBackup();
    const outcome = await backUp(memory, where.temporary, [file]);
    assert.deepEqual(outcome.warnings, []);
    assert.deepEqual(names(where.data), before, journal);
    database.close();
    await restore(memory, outcome, where.restored);
    assert.equal(integrity(where.restored), 'ok');
  }
});

test('a closed database in WAL mode is read without anything being made beside it', async () => {
  await using where = await place();
  const file = join(where.data, 'a.db');
  makeDatabase(file, { journal: 'wal' }).close();
  const before = state(where.data);
  const memory = new MemoryBackup();
  await backUp(memory, where.temporary, [file]);
  assert.deepEqual(state(where.data), before);
  assert.equal(metaOf(memory, 'a.db').way, 'still');
});

test('a file that changes while it is read as it lies is read again as a snapshot', async () => {
  await using where = await place();
  const file = join(where.data, 'a.db');
  makeDatabase(file, { rows: 20_000 }).close();
  const memory = new MemoryBackup();
  // Long enough for the file to be taken as it lies.
  const now = (): number => Date.now() + 10_000;
  let changes = 0;
  memory.interrupt = () => {
    changes += 1;
    if (changes !== 5) return;
    const database = new DatabaseSync(file);
    database.exec("UPDATE notes SET text = 'changed' WHERE id % 100 = 0");
    database.close();
  };
  const outcome = await backUp(memory, where.temporary, [file], { now });
  assert.equal(metaOf(memory, 'a.db').way, 'snapshot');
  await restore(memory, outcome, where.restored);
  const restored = new DatabaseSync(where.restored);
  assert.equal(restored.prepare("SELECT count(*) AS n FROM notes WHERE text = 'changed'").get()?.['n'], 200);
  restored.close();
  assert.equal(integrity(where.restored), 'ok');
});

test('an abort in the middle leaves no copy', async () => {
  await using where = await place();
  const file = join(where.data, 'a.db');
  const open = makeDatabase(file, { journal: 'wal', rows: 5000 });
  const memory = new MemoryBackup();
  const controller = new AbortController();
  memory.interrupt = () => controller.abort(new Error('stop'));
  const running = backupSqlite(
    backupOptions(where.temporary, [file]),
    memory.backupContext({ signal: controller.signal }),
  );
  await assert.rejects(running, /stop/);
  assert.deepEqual(names(where.temporary), []);
  open.close();
});

test('what is not enough room for a copy is said with both sizes', async () => {
  await using where = await place();
  const file = join(where.data, 'a.db');
  const database = makeDatabase(file, { journal: 'wal' });
  // A log that is said to be larger than any disk; SQLite reads as far as it is good.
  truncateSync(`${file}-wal`, 8 * 2 ** 40);
  const running = backUp(new MemoryBackup(), where.temporary, [file]);
  await assert.rejects(running, { code: 'HF-5109', message: /needs \d+ MiB for a copy/ });
  database.close();
});

test('a database that this process has open keeps its locks, in every journal mode', async () => {
  for (const journal of ['delete', 'wal'] as const) {
    await using where = await place();
    const file = join(where.data, 'a.db');
    const database = makeDatabase(file, { journal });
    database.exec('BEGIN IMMEDIATE; DELETE FROM notes WHERE id < 10');
    const memory = new MemoryBackup();
    await backUp(memory, where.temporary, [file]);
    // Another process finds it locked as before.
    assert.match(lockedFor(file), /locked/, journal);
    database.exec('COMMIT');
    database.close();
    assert.equal(lockedFor(file), '');
  }
});

/** What another process hears that wants to write. */
function lockedFor(file: string): string {
  const script = `const { DatabaseSync } = require('node:sqlite');
    try { new DatabaseSync(process.argv[1]).exec('BEGIN IMMEDIATE; COMMIT'); } catch (error) { console.log(error.message); }`;
  const options = { encoding: 'utf8' as const };
  return execFileSync(
    process.execPath,
    ['--disable-warning=ExperimentalWarning', '-e', script, file],
    options,
  );
}

test('where no copy can be made the backup is refused', async () => {
  await using where = await place();
  const file = join(where.data, 'a.db');
  makeDatabase(file).close();
  const notes = join(where.data, 'notes');
  writeFileSync(notes, '');
  await assert.rejects(backUp(new MemoryBackup(), join(notes, 'tmp'), [file]), { code: 'HF-5120' });
});

test('copies that a killed process has left are removed after a day, and no others', async () => {
  await using where = await place();
  const file = join(where.data, 'a.db');
  makeDatabase(file).close();
  // No process has so high a number.
  const old = join(where.temporary, 'holdfast-sqlite-4999999-00aa');
  const young = join(where.temporary, 'holdfast-sqlite-4999999-00bb');
  const alive = join(where.temporary, `holdfast-sqlite-${process.pid}-00cc`);
  for (const one of [old, young, alive]) {
    mkdirSync(one);
    writeFileSync(join(one, 'copy.db'), 'data');
  }
  const before = Date.now() / 1000 - 100_000;
  for (const one of [old, alive])
    for (const path of [join(one, 'copy.db'), one]) utimesSync(path, before, before);
  await backUp(new MemoryBackup(), where.temporary, [file]);
  assert.deepEqual(
    [old, young, alive].map((one) => existsSync(one)),
    [false, true, true],
  );
  for (const one of [young, alive]) rmSync(one, { recursive: true });
});
