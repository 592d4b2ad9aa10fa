import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { copyFileSync, existsSync, lstatSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { moveTo } from '../../src/sources/sqlite/restore/names.ts';
import { MemoryBackup } from '../../testing/memory-backup.ts';
import { tempDirectory } from '../../testing/temp.ts';
import { crashed } from './place.ts';
import { addNotes, backUp, integrity, leftIn, makeDatabase, notes, restore } from './support.ts';

const endings = ['', '-wal', '-journal'] as const;

interface Stage extends AsyncDisposable {
  readonly path: string;
  readonly target: string;
  readonly file: string;
  readonly put: () => Promise<string>;
}

/** A backup of a database of 300 notes, to be restored in the place of what a test makes as `x.db`. */
async function stage(): Promise<Stage> {
  const directory = await tempDirectory();
  const target = join(directory.path, 'target');
  mkdirSync(target);
  const original = join(directory.path, 'x.db');
  makeDatabase(original, { rows: 300, journal: 'wal' }).close();
  const memory = new MemoryBackup();
  const outcome = await backUp(memory, directory.path, [original]);
  const file = join(target, 'x.db');
  const put = async (): Promise<string> => {
    const { databases } = await restore(memory, outcome, file, { force: true });
    return databases[0]?.replaced ?? '';
  };
  return {
    path: directory.path,
    target,
    file,
    put,
    [Symbol.asyncDispose]: () => directory[Symbol.asyncDispose](),
  };
}

/** Of each of its files that is there a hash: of bytes that differ nobody wants to read millions. */
function bytesOf(file: string): (string | null)[] {
  return endings.map((ending) =>
    existsSync(file + ending)
      ? createHash('sha256')
          .update(readFileSync(file + ending))
          .digest('hex')
      : null,
  );
}

/** A log of a database of the given page size, that a crash has left. */
function strangersLog(directory: string, pageSize: number): string {
  const other = join(directory, 'other.db');
  makeDatabase(other, { journal: 'wal', rows: 60, pageSize }).close();
  crashed(other, join(directory, 'left.db'), (database) =>
    database.exec("UPDATE notes SET text = 'strange'"),
  );
  rmSync(other);
  return join(directory, 'left.db-wal');
}

/** SQLite takes an unfinished transaction back before anybody reads the database, and removes the journal. */
const rolledBack = ['a journal that a crash has left', 'the journal of another database'];
/** What is done with. */
const emptied = 'a journal that is kept after each transaction';

const leftovers: readonly (readonly [string, (file: string, directory: string) => void])[] = [
  [
    'the log of another database beside one in rollback mode',
    (file, directory) => {
      makeDatabase(file, { rows: 20 }).close();
      copyFileSync(strangersLog(directory, 4096), `${file}-wal`);
    },
  ],
  [
    'a log of another page size',
    (file, directory) => {
      makeDatabase(file, { journal: 'wal', rows: 20 }).close();
      copyFileSync(strangersLog(directory, 1024), `${file}-wal`);
    },
  ],
  [
    'the log of another database that does not show',
    (file, directory) => {
      makeDatabase(file, { journal: 'wal', rows: 20 }).close();
      copyFileSync(strangersLog(directory, 4096), `${file}-wal`);
    },
  ],
  [
    'a log of its own that a crash has left',
    (file, directory) => {
      const original = join(directory, 'live.db');
      makeDatabase(original, { journal: 'wal', rows: 20 }).close();
      crashed(original, file, (database) => addNotes(database, 21, 50));
    },
  ],
  [
    'a journal that a crash has left',
    (file, directory) => {
      const original = join(directory, 'live.db');
      makeDatabase(original, { rows: 2000 }).close();
      crashed(original, file, (database) =>
        database.exec("BEGIN; UPDATE notes SET text = 'lost', extra = NULL"),
      );
      assert.ok(lstatSync(`${file}-journal`).size > 512);
    },
  ],
  [
    'the journal of another database',
    (file, directory) => {
      const original = join(directory, 'live.db');
      makeDatabase(original, { rows: 2000 }).close();
      crashed(original, join(directory, 'left.db'), (database) =>
        database.exec("BEGIN; UPDATE notes SET text = 'lost', extra = NULL"),
      );
      makeDatabase(file, { rows: 20 }).close();
      copyFileSync(join(directory, 'left.db-journal'), `${file}-journal`);
    },
  ],
  [
    'a journal that is kept after each transaction',
    (file) => {
      const database = makeDatabase(file, { journal: 'persist', rows: 20 });
      database.close();
      assert.ok(existsSync(`${file}-journal`));
    },
  ],
  ['a file that is no database', (file) => writeFileSync(file, 'no database')],
  [
    'a database cut short',
    (file) => {
      makeDatabase(file, { rows: 2000 }).close();
      writeFileSync(file, readFileSync(file).subarray(0, 10_000));
    },
  ],
  ['an empty file', (file) => writeFileSync(file, '')],
  [
    'an empty file with a log beside it',
    (file, directory) => {
      const original = join(directory, 'live.db');
      makeDatabase(original, { journal: 'wal', rows: 20 }).close();
      crashed(original, file, (database) => addNotes(database, 21, 50));
      writeFileSync(file, '');
    },
  ],
];

for (const [what, make] of leftovers) {
  test(`kept with every byte: ${what}`, async () => {
    await using given = await stage();
    make(given.file, given.path);
    const before = bytesOf(given.file);
    const kept = await given.put();
    const found = rolledBack.includes(what) ? `${kept}.found` : kept;
    assert.deepEqual(bytesOf(found), what === emptied ? [before[0], null, null] : before);
    assert.deepEqual(
      leftIn(given.target).filter((name) => !name.includes('replaced')),
      [],
    );
    assert.equal(notes(given.file), 300);
    assert.equal(integrity(given.file), 'ok');
  });
}

test('a name that is taken is not written over', async () => {
  await using given = await stage();
  for (const name of ['a', 'b']) writeFileSync(join(given.target, name), name);
  await assert.rejects(moveTo(join(given.target, 'a'), join(given.target, 'b')), { code: 'HF-4001' });
  assert.equal(readFileSync(join(given.target, 'b'), 'utf8'), 'b');
});
