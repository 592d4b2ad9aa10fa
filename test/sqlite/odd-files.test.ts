import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import {
  appendFileSync,
  chmodSync,
  closeSync,
  linkSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { test, type TestContext } from 'node:test';
import { passesOverRights } from '../../testing/privileges.ts';
import { sqliteMetadataSchema } from '../../src/sources/sqlite/metadata.ts';
import { MemoryBackup } from '../../testing/memory-backup.ts';
import { metaOf, place } from './place.ts';
import { addNotes, backUp, integrity, makeDatabase, names, restore } from './support.ts';

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
  if (passesOverRights()) return context.skip('root may read everything');
  await assert.rejects(backUp(new MemoryBackup(), where.temporary, [file]), { code: 'HF-5108' });
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

test('of two names of one file that is taken beside which its log lies', async () => {
  await using where = await place();
  const [first, used] = [join(where.data, 'a.db'), join(where.data, 'b.db')];
  const database = makeDatabase(used, { journal: 'wal', rows: 10 });
  linkSync(used, first);
  addNotes(database, 11, 20);
  const memory = new MemoryBackup();
  const outcome = await backUp(memory, where.temporary, [join(where.data, '*.db')]);
  database.close();
  await restore(memory, outcome, where.restored);
  const restored = new DatabaseSync(where.restored);
  assert.equal(restored.prepare('SELECT count(*) AS n FROM notes').get()?.['n'], 20);
  restored.close();
});
