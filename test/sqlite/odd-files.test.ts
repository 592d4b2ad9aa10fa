import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import {
  appendFileSync,
  chmodSync,
  closeSync,
  copyFileSync,
  linkSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { test, type TestContext } from 'node:test';
import { databaseMetaSchema, sqliteMetadataSchema } from '../../src/sources/sqlite/metadata.ts';
import { MemoryBackup } from '../../testing/memory-backup.ts';
import { tempDirectory, type TempDirectory } from '../../testing/temp.ts';
import { addNotes, backUp, integrity, leftIn, makeDatabase, names, restore } from './support.ts';

interface Place extends AsyncDisposable {
  readonly data: string;
  readonly temporary: string;
  readonly restored: string;
}

async function place(): Promise<Place> {
  const directory: TempDirectory = await tempDirectory();
  const data = join(directory.path, 'data');
  const temporary = join(directory.path, 'tmp');
  for (const one of [data, temporary]) mkdirSync(one);
  return {
    data,
    temporary,
    restored: join(directory.path, 'restored'),
    [Symbol.asyncDispose]: async () => {
      assert.deepEqual(leftIn(temporary), [], 'a copy was left');
      await directory[Symbol.asyncDispose]();
    },
  };
}

/** Everything about the files of a directory that a backup must not change. */
function state(directory: string): unknown {
  return names(directory).map((name) => {
    const { mtimeMs, ino, size } = statSync(join(directory, name));
    return { name, mtimeMs, ino, size };
  });
}

function metaOf(memory: MemoryBackup, path: string): ReturnType<typeof databaseMetaSchema.parse> {
  return databaseMetaSchema.parse(memory.entry(path).meta);
}

test('an empty file is a database without tables, with a warning; louder when it had content before', async () => {
  await using where = await place();
  const file = join(where.data, 'a.db');
  writeFileSync(file, '');
  const memory = new MemoryBackup();
  const outcome = await backUp(memory, where.temporary, [file]);
  assert.match(outcome.warnings.join(), /HF-5114: .*empty \(0 bytes\)$/);
  assert.equal(outcome.incomplete, undefined);
  await restore(memory, outcome, where.restored);
  assert.equal(readFileSync(where.restored).length, 0);

  const full = new MemoryBackup();
  rmSync(file);
  makeDatabase(file).close();
  const first = await backUp(full, where.temporary, [file]);
  full.becomePrevious(first.metadata);
  truncateSync(file, 0);
  const second = await backUp(full, where.temporary, [file]);
  assert.match(second.warnings.join(), /HF-5114: .*it had \d+ pages in the backup before/);
  assert.match(second.incomplete ?? '', /is empty now/);
});

test('what is no database, or an encrypted one, is told from the other', async () => {
  await using where = await place();
  const text = join(where.data, 'text.db');
  writeFileSync(text, 'These are notes, and no database at all.\n'.repeat(300));
  await assert.rejects(backUp(new MemoryBackup(), where.temporary, [text]), { code: 'HF-5103' });
  const secret = join(where.data, 'secret.db');
  writeFileSync(secret, randomBytes(20_480));
  await assert.rejects(backUp(new MemoryBackup(), where.temporary, [secret]), {
    code: 'HF-5104',
    message: /SQLCipher/,
  });
});

test('a damaged header and a short file cannot be read', async () => {
  await using where = await place();
  const file = join(where.data, 'a.db');
  makeDatabase(file).close();
  truncateSync(file, 50_000);
  await assert.rejects(backUp(new MemoryBackup(), where.temporary, [file]), { code: 'HF-5105' });
  truncateSync(file, 60);
  await assert.rejects(backUp(new MemoryBackup(), where.temporary, [file]), {
    code: 'HF-5105',
    message: /only 60 bytes/,
  });
});

test('one bad database of several is named, and the others are backed up', async () => {
  await using where = await place();
  makeDatabase(join(where.data, 'good.db')).close();
  writeFileSync(join(where.data, 'bad.db'), 'no database '.repeat(100));
  mkdirSync(join(where.data, 'more'));
  makeDatabase(join(where.data, 'more', 'good.db'), { journal: 'wal' }).close();
  const memory = new MemoryBackup();
  const outcome = await backUp(memory, where.temporary, [
    join(where.data, '**/*.db'),
    join(where.data, 'gone.db'),
  ]);
  assert.match(outcome.incomplete ?? '', /^2 databases could not be backed up: .*gone\.db, .*bad\.db$/);
  assert.match(outcome.warnings.join('\n'), /HF-5102: .*gone\.db[^]*HF-5103: .*bad\.db/);
  const metadata = sqliteMetadataSchema.parse(outcome.metadata);
  assert.deepEqual([metadata.databases, metadata.failed], [2, 2]);
  await restore(memory, outcome, where.restored);
  assert.deepEqual(names(where.restored), ['good.db', 'more']);
  assert.equal(integrity(join(where.restored, 'more', 'good.db')), 'ok');
});

test('paths that match nothing, and directories', async () => {
  await using where = await place();
  const none = backUp(new MemoryBackup(), where.temporary, [
    join(where.data, '*.db'),
    join(where.data, 'x.db'),
  ]);
  await assert.rejects(none, { code: 'HF-5101' });
  await assert.rejects(backUp(new MemoryBackup(), where.temporary, [where.data]), { code: 'HF-5111' });
});

test('a name with brackets means itself when it is there; exclude takes away; a file counts once', async () => {
  await using where = await place();
  makeDatabase(join(where.data, 'a[1].db')).close();
  makeDatabase(join(where.data, 'a1.db')).close();
  makeDatabase(join(where.data, 'cache.db')).close();
  makeDatabase(join(where.data, 'odd %41?#\n.db')).close();
  linkSync(join(where.data, 'a1.db'), join(where.data, 'b1.db'));
  symlinkSync('a1.db', join(where.data, '0.db'));
  const memory = new MemoryBackup();
  const outcome = await backUp(memory, where.temporary, [join(where.data, 'a[1].db')]);
  assert.deepEqual(
    memory.entries.map(({ path }) => path),
    ['a[1].db', 'a[1].db%page-hashes'],
  );
  assert.equal(sqliteMetadataSchema.parse(outcome.metadata).databases, 1);
  const all = new MemoryBackup();
  const exclude = [join(where.data, 'cach?.db')];
  const everything = await backUp(all, where.temporary, [join(where.data, '*')], { exclude });
  const paths = all.entries.map(({ path }) => path).filter((path) => !path.endsWith('-hashes'));
  assert.deepEqual(paths, ['a1.db', 'a[1].db', 'odd %2541?#%0A.db']);
  await restore(all, everything, where.restored);
  assert.deepEqual(names(where.restored), ['a1.db', 'a[1].db', 'odd %41?#\n.db']);
});

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

/** A database in the middle of a transaction whose program dies then: the files as they are on disk. */
function crashed(from: string, to: string, work: (database: DatabaseSync) => void): void {
  const database = new DatabaseSync(from);
  database.exec('PRAGMA cache_size = 5; PRAGMA wal_autocheckpoint = 0');
  work(database);
  for (const ending of ['', '-wal', '-journal']) {
    try {
      copyFileSync(from + ending, to + ending);
    } catch {
      // Not of this journal mode.
    }
  }
  if (database.isTransaction) database.exec('ROLLBACK');
  database.close();
}

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

test('damage is found, backed up all the same, and told again when it comes back', async () => {
  await using where = await place();
  const file = join(where.data, 'a.db');
  makeDatabase(file, { rows: 3000 }).close();
  const handle = openSync(file, 'r+');
  writeSync(handle, Buffer.alloc(4096, 0xee), 0, 4096, 4096 * 20);
  closeSync(handle);
  const memory = new MemoryBackup();
  const outcome = await backUp(memory, where.temporary, [file]);
  assert.match(outcome.warnings.join(), /HF-5112: .*a\.db is damaged: /);
  assert.match(outcome.incomplete ?? '', /a\.db is damaged/);
  assert.equal(metaOf(memory, 'a.db').check.result, 'damaged');
  const restored = await restore(memory, outcome, where.restored);
  assert.equal(restored.checked, 0);
  assert.match(restored.warnings.join(), /HF-5112/);
  assert.ok(
    readFileSync(where.restored)
      .subarray(4096 * 20, 4096 * 21)
      .equals(Buffer.alloc(4096, 0xee)),
  );
});

test('a schema that SQLite alone does not understand is copied, and said to be unexamined', async () => {
  await using where = await place();
  const file = join(where.data, 'a.db');
  const database = makeDatabase(file);
  database.function('shout', { deterministic: true }, (text) => String(text).toUpperCase());
  database.exec('CREATE INDEX loud ON notes (shout(text))');
  database.close();
  const memory = new MemoryBackup();
  const outcome = await backUp(memory, where.temporary, [file], { check: 'full' });
  assert.equal(outcome.incomplete, undefined);
  assert.notEqual(metaOf(memory, 'a.db').check.result, 'damaged');
  const restored = await restore(memory, outcome, where.restored);
  assert.equal(restored.databases.length, 1);
});

test('a file that may not be read, for others than root', async (context: TestContext) => {
  await using where = await place();
  const file = join(where.data, 'a.db');
  makeDatabase(file).close();
  chmodSync(file, 0);
  if (process.getuid?.() === 0) return context.skip('root may read everything');
  await assert.rejects(backUp(new MemoryBackup(), where.temporary, [file]), { code: 'HF-5108' });
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
  const { backupSqlite } = await import('../../src/sources/sqlite/backup.ts');
  const { backupOptions } = await import('./support.ts');
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

test('names that begin with file: and like things mean files', async () => {
  await using where = await place();
  const file = join(where.data, 'file:x?mode=memory');
  const plain = join(where.data, 'plain.db');
  makeDatabase(plain, { journal: 'wal' }).close();
  renameSync(plain, file);
  appendFileSync(join(where.data, 'note'), '');
  const memory = new MemoryBackup();
  const outcome = await backUp(memory, where.temporary, [file]);
  await restore(memory, outcome, where.restored);
  assert.equal(integrity(where.restored), 'ok');
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

test('a log in a directory that may not be written, for others than root', async (context) => {
  if (process.getuid?.() === 0) return context.skip('root may write everywhere');
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

test('where no copy can be made the backup is refused', async () => {
  await using where = await place();
  const file = join(where.data, 'a.db');
  makeDatabase(file).close();
  const notes = join(where.data, 'notes');
  writeFileSync(notes, '');
  await assert.rejects(backUp(new MemoryBackup(), join(notes, 'tmp'), [file]), { code: 'HF-5120' });
});
