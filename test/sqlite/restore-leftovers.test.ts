import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { copyFileSync, existsSync, lstatSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { test } from 'node:test';
import { holderOf, holdersOf } from '../../src/sources/sqlite/holder.ts';
import { moveTo } from '../../src/sources/sqlite/names.ts';
import { Swap } from '../../src/sources/sqlite/swap.ts';
import { MemoryBackup } from '../../testing/memory-backup.ts';
import { tempDirectory } from '../../testing/temp.ts';
import { crashed } from './place.ts';
import { addNotes, backUp, integrity, leftIn, makeDatabase, names, restore } from './support.ts';

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

function notes(file: string): number {
  const database = new DatabaseSync(file);
  try {
    return Number(database.prepare('SELECT count(*) AS n FROM notes').get()?.['n']);
  } finally {
    database.close();
  }
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
];

for (const [what, make] of leftovers) {
  test(`moved aside with every byte: ${what}`, async () => {
    await using given = await stage();
    make(given.file, given.path);
    const before = bytesOf(given.file);
    const kept = await given.put();
    assert.deepEqual(bytesOf(kept), before);
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

interface Late extends Disposable {
  /** Has it write the database that it has open; resolves with what it hears. */
  write(): Promise<string>;
}

/** Another process that opens a database and does nothing with it yet. */
async function openElsewhere(file: string): Promise<Late> {
  const script = `const { DatabaseSync } = require('node:sqlite');
    const database = new DatabaseSync(process.argv[1]);
    console.log('open');
    process.stdin.on('data', () => {
      try { database.exec('DELETE FROM notes'); console.log('written'); } catch (error) { console.log(error.message); }
    });`;
  const child = spawn(process.execPath, ['--disable-warning=ExperimentalWarning', '-e', script, file], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  await once(child.stdout, 'data');
  return {
    write: async () => {
      child.stdin.write('\n');
      const [said] = (await once(child.stdout, 'data')) as [Buffer];
      return said.toString().trim();
    },
    [Symbol.dispose]: () => void child.kill('SIGKILL'),
  };
}

interface Placing extends Stage {
  readonly swap: Swap;
  readonly kept: string;
}

/** A swap by hand, so that something can happen in its middle. */
async function swapping(journal: 'wal' | 'delete'): Promise<Placing> {
  const given = await stage();
  const staged = `${given.file}.holdfast-restoring-00`;
  makeDatabase(given.file, { journal, rows: 7 }).close();
  makeDatabase(staged, { journal, rows: 30 }).close();
  const kept = `${given.file}.kept`;
  const swap = new Swap({ file: given.file, mode: 'replace', staged, keptAs: kept });
  return { ...given, swap, kept };
}

for (const journal of ['wal', 'delete'] as const) {
  test(`who opens the old one in the last instant cannot write beside the new one (${journal})`, async (context) => {
    await using given = await swapping(journal);
    const { swap, file, kept } = given;
    await swap.begin();
    using late = await openElsewhere(file);
    if (holderOf(file) === null) return context.skip('processes cannot be looked at here');
    await swap.place(true);
    assert.match(await late.write(), /locked/);
    const said = swap.conclude(holdersOf([kept]).byFile.get(kept) ?? null);
    await swap.end();
    assert.match(said.map(({ code }) => code).join(), journal === 'wal' ? /^HF-5122,HF-5123$/ : /^HF-5122$/);
    assert.match(await late.write(), /readonly/);
    assert.deepEqual(names(given.target), ['x.db', 'x.db.kept']);
    assert.deepEqual([notes(file), notes(kept)], [30, 7]);
  });

  test(`what is in use or was written since is not taken back, and nothing is lost (${journal})`, async () => {
    for (const what of ['open', 'written', 'nothing'] as const) {
      await using given = await swapping(journal);
      const { swap, file, kept } = given;
      const before = readFileSync(file);
      await swap.begin();
      await swap.place(false);
      using user = what === 'nothing' ? null : await openElsewhere(file);
      if (what === 'written') {
        assert.equal(await user?.write(), 'written');
        user?.[Symbol.dispose]();
      }
      const left = await swap.takeBack();
      await swap.end();
      if (what === 'nothing') {
        assert.equal(left, null);
        assert.equal(notes(file), 7);
        assert.deepEqual(names(given.target), ['x.db']);
        if (journal === 'delete') assert.deepEqual(readFileSync(file), before);
      } else {
        assert.match(
          left ?? '',
          /x\.db is the restored database, and .*x\.db\.kept is what was there before/,
        );
        assert.equal(notes(kept), 7);
        assert.equal(notes(file), what === 'written' ? 0 : 30);
      }
    }
  });
}
