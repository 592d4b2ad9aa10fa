import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { copyFileSync, existsSync, mkdirSync, readdirSync, renameSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { isFailure } from '../../src/kernel/errors/failure.ts';
import { overwriteDatabase, type Overwritten } from '../../src/sources/sqlite/restore/overwrite-task.ts';
import { Overwrite } from '../../src/sources/sqlite/restore/overwrite.ts';
import { MemoryBackup } from '../../testing/memory-backup.ts';
import { tempDirectory } from '../../testing/temp.ts';
import { rowsOf, startBriefWriter } from './brief-writer.ts';
import { addNotes, integrity, makeDatabase, notes } from './support.ts';

const { signal } = new AbortController();
const journals = ['wal', 'delete'] as const;

function journalOf(file: string): unknown {
  const database = new DatabaseSync(file);
  try {
    return database.prepare('PRAGMA journal_mode').get()?.['journal_mode'];
  } finally {
    database.close();
  }
}

async function overwrite(directory: string, kept: string): Promise<Overwritten> {
  const [file, from] = [join(directory, 'x.db'), join(directory, 'new.db')];
  return await overwriteDatabase({ file, from, kept, waitMs: 300 }, { signal });
}

for (const old of journals) {
  for (const restored of journals) {
    for (const pageSize of [512, 4096, 65_536]) {
      test(`${restored} of ${pageSize} byte pages over ${old} of 4096`, async () => {
        await using directory = await tempDirectory();
        const file = join(directory.path, 'x.db');
        const kept = join(directory.path, 'kept.db');
        makeDatabase(file, { journal: old, rows: 2000 }).close();
        const inode = statSync(file).ino;
        makeDatabase(join(directory.path, 'new.db'), { journal: restored, rows: 3000, pageSize }).close();
        assert.deepEqual(await overwrite(directory.path, kept), { result: 'done' });
        assert.deepEqual([notes(file), notes(kept)], [3000, 2000]);
        assert.deepEqual([integrity(file), integrity(kept)], ['ok', 'ok']);
        assert.deepEqual([journalOf(file), journalOf(kept)], [restored, old]);
        assert.equal(statSync(file).ino, inode);
      });
    }
  }
}

test('a smaller one, and one of a single page, over a large one', async () => {
  await using directory = await tempDirectory();
  const file = join(directory.path, 'x.db');
  for (const journal of journals) {
    rmSync(file, { force: true });
    makeDatabase(file, { journal, rows: 2000 }).close();
    const empty = new DatabaseSync(join(directory.path, 'new.db'));
    empty.exec(`PRAGMA journal_mode = ${journal}; PRAGMA user_version = 7`);
    empty.close();
    const kept = join(directory.path, `kept-${journal}.db`);
    assert.deepEqual(await overwrite(directory.path, kept), { result: 'done' });
    assert.equal(notes(kept), 2000);
    const database = new DatabaseSync(file);
    assert.equal(database.prepare('PRAGMA user_version').get()?.['user_version'], 7);
    assert.equal(database.prepare('SELECT count(*) AS n FROM sqlite_schema').get()?.['n'], 0);
    database.close();
    rmSync(join(directory.path, 'new.db'));
  }
});

test('where somebody has a lock nothing is changed and nothing is left', async () => {
  for (const journal of journals) {
    await using directory = await tempDirectory();
    const file = join(directory.path, 'x.db');
    const old = makeDatabase(file, { journal, rows: 20 });
    makeDatabase(join(directory.path, 'new.db'), { journal, rows: 30 }).close();
    old.exec('BEGIN IMMEDIATE');
    assert.deepEqual(await overwrite(directory.path, join(directory.path, 'kept.db')), { result: 'busy' });
    old.exec('ROLLBACK');
    old.close();
    assert.equal(notes(file), 20);
    assert.deepEqual(readdirSync(directory.path).toSorted(), ['new.db', 'x.db']);
  }
});

test('a file that comes in its place while a lock is waited for is left alone', async () => {
  await using directory = await tempDirectory();
  const file = join(directory.path, 'x.db');
  const old = makeDatabase(file, { rows: 20 });
  makeDatabase(join(directory.path, 'new.db'), { rows: 30 }).close();
  makeDatabase(join(directory.path, 'other.db'), { rows: 40 }).close();
  old.exec('BEGIN IMMEDIATE');
  const [from, kept] = [join(directory.path, 'new.db'), join(directory.path, 'kept.db')];
  const overwriting = overwriteDatabase({ file, from, kept, waitMs: 20_000 }, { signal });
  overwriting.catch(() => {});
  await delay(100); // It waits for the lock by now, or does not begin before the other file is there.
  renameSync(join(directory.path, 'other.db'), file);
  old.close();
  await assert.rejects(overwriting, { code: 'HF-5118', message: /put another file there/ });
  assert.equal(notes(file), 40);
  assert.ok(!existsSync(kept));
});

test('a program that has it open in WAL mode goes on in the restored one', async () => {
  await using directory = await tempDirectory();
  const file = join(directory.path, 'x.db');
  const program = makeDatabase(file, { journal: 'wal', rows: 20 });
  const count = program.prepare('SELECT count(*) AS n FROM notes');
  assert.equal(count.get()?.['n'], 20);
  makeDatabase(join(directory.path, 'new.db'), { journal: 'wal', rows: 30 }).close();
  // In another process: one alone may not open a database by itself and by SQLite.
  const script = join(import.meta.dirname, 'overwrite-process.ts');
  const parameters = [file, join(directory.path, 'new.db'), join(directory.path, 'kept.db')];
  const child = spawn(process.execPath, ['--disable-warning=ExperimentalWarning', script, ...parameters]);
  await once(child, 'exit');
  assert.equal(count.get()?.['n'], 30);
  addNotes(program, 31, 40);
  program.close();
  assert.deepEqual([notes(file), notes(join(directory.path, 'kept.db'))], [40, 20]);
});

for (const journal of journals) {
  test(`processes that nobody can see lose nothing (${journal})`, async (context) => {
    await using directory = await tempDirectory();
    const data = join(directory.path, 'data');
    mkdirSync(data);
    const file = join(data, 'x.db');
    const original = join(directory.path, 'x.db');
    const database = makeDatabase(original, { journal, rows: 300 });
    database.exec('CREATE TABLE acknowledged (id INTEGER PRIMARY KEY, text TEXT)');
    database.close();
    copyFileSync(original, file);
    using stays = await startBriefWriter(file, journal, 'stays');
    const memory = new MemoryBackup();
    const kept: string[] = [];
    for (let round = 0; round < 15; round += 1) {
      const staged = join(data, `staged-${round}`);
      copyFileSync(original, staged);
      const way = new Overwrite({ file, staged, keptAs: join(data, 'kept') }, memory.restoreContext({}), () =>
        Date.now(),
      );
      try {
        assert.ok(await way.place());
      } catch (error) {
        if (!isFailure(error) || error.code !== 'HF-5118') throw error;
      }
      if (way.replaced !== null) kept.push(way.replaced);
      rmSync(staged);
      await delay(1); // The writer's turn.
    }
    await stays.stop();
    context.diagnostic(`${stays.acknowledged.length} commits, ${kept.length} of 15 restores`);
    assert.deepEqual(stays.unexpected, []);
    assert.ok(kept.length > 0);
    const found = new Set<number>();
    for (const one of [file, ...kept]) {
      assert.equal(integrity(one), 'ok', one);
      assert.equal(notes(one), 300);
      for (const row of rowsOf(one)) found.add(row);
    }
    assert.deepEqual(
      stays.acknowledged.filter((row) => !found.has(row)),
      [],
    );
  });

  test(`killed at any moment it leaves the old one or the new one (${journal})`, async (context) => {
    const found = { old: 0, new: 0 };
    for (let round = 0; round < 12; round += 1) {
      await using directory = await tempDirectory();
      const file = join(directory.path, 'x.db');
      const from = join(directory.path, 'new.db');
      makeDatabase(file, { journal, rows: 8000 }).close();
      makeDatabase(from, { journal, rows: 12_000 }).close();
      const kept = join(directory.path, 'kept.db');
      const script = join(import.meta.dirname, 'overwrite-process.ts');
      const child = spawn(process.execPath, [
        '--disable-warning=ExperimentalWarning',
        script,
        file,
        from,
        kept,
      ]);
      const ended = once(child, 'exit');
      await once(child.stdout, 'data');
      await delay(round * 3);
      child.kill('SIGKILL');
      await ended;
      const now = notes(file);
      assert.ok(now === 8000 || now === 12_000, String(now));
      assert.equal(integrity(file), 'ok');
      if (now === 12_000 || existsSync(kept)) assert.equal(notes(kept), 8000);
      found[now === 8000 ? 'old' : 'new'] += 1;
    }
    context.diagnostic(JSON.stringify(found));
  });

  test(`taken back it is as it was, and what was written in between is kept (${journal})`, async () => {
    for (const isWritten of [false, true]) {
      await using directory = await tempDirectory();
      const file = join(directory.path, 'x.db');
      const staged = join(directory.path, 'new.db');
      makeDatabase(file, { journal, rows: 70 }).close();
      makeDatabase(staged, { journal: journal === 'wal' ? 'delete' : 'wal', rows: 30 }).close();
      const of = { file, staged, keptAs: join(directory.path, 'kept') };
      const way = new Overwrite(of, new MemoryBackup().restoreContext({}), () => Date.now());
      assert.ok(await way.place());
      if (isWritten) {
        const program = new DatabaseSync(file);
        addNotes(program, 31, 35);
        program.close();
      }
      const left = await way.takeBack();
      assert.equal(notes(file), 70);
      assert.equal(journalOf(file), journal);
      if (isWritten) {
        assert.match(left ?? '', /kept-restored is the restored database with what was written/);
        assert.equal(notes(join(directory.path, 'kept-restored')), 35);
      } else {
        assert.equal(left, null);
        assert.deepEqual(readdirSync(directory.path).toSorted(), ['new.db', 'x.db']);
      }
    }
  });
}

/** Runs the overwriting in a process of its own, under a command that makes it fail; resolves with what it says. */
async function overwriteUnder(command: readonly string[], directory: string): Promise<string> {
  const [program = '', ...before] = command;
  const script = join(import.meta.dirname, 'overwrite-process.ts');
  const paths = ['x.db', 'new.db', 'kept.db'].map((name) => join(directory, name));
  const ours = [process.execPath, '--disable-warning=ExperimentalWarning', script, ...paths];
  const child = spawn(program, [...before, ...ours], { stdio: ['ignore', 'pipe', 'inherit'] });
  let said = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => (said += text));
  await once(child, 'close');
  return said;
}

test('a disk that is full in the middle leaves the old one, and no copy', async () => {
  for (const journal of journals) {
    await using directory = await tempDirectory();
    const file = join(directory.path, 'x.db');
    makeDatabase(file, { journal, rows: 2000 }).close();
    makeDatabase(join(directory.path, 'new.db'), { journal, rows: 20_000 }).close();
    // No file may become larger than 2 MiB.
    const limited = ['bash', '-c', `trap '' XFSZ; ulimit -f 2048; exec "$@"`, '-'];
    assert.match(await overwriteUnder(limited, directory.path), /^begins\nfailed \d+ unchanged\n$/);
    assert.equal(notes(file), 2000);
    assert.equal(integrity(file), 'ok');
    assert.ok(!existsSync(join(directory.path, 'kept.db')));
  }
});

const strace = spawnSync('strace', ['-f', '-e', 'trace=none', 'true']).status === 0;

test(
  'an error after the transaction took effect leaves the copy of the old one',
  { skip: !strace && 'strace is not installed, or may not be used here' },
  async () => {
    await using directory = await tempDirectory();
    const file = join(directory.path, 'x.db');
    makeDatabase(file, { journal: 'delete', rows: 2000 }).close();
    makeDatabase(join(directory.path, 'new.db'), { journal: 'delete', rows: 300 }).close();
    // SQLite cuts a database that has become shorter when everything else is done.
    const failing = [
      'strace',
      '-f',
      '-o',
      '/dev/null',
      '-P',
      file,
      '-e',
      'inject=ftruncate:error=EIO:when=1',
    ];
    assert.match(await overwriteUnder(failing, directory.path), /^begins\nfailed 10 changed\n$/);
    assert.deepEqual([notes(file), notes(join(directory.path, 'kept.db'))], [300, 2000]);
  },
);

const canSetAttributes = process.geteuid?.() === 0 && spawnSync('chattr', ['-V']).error === undefined;

test(
  'a file that can only be added to is told, at once and unchanged',
  { skip: !canSetAttributes && 'only root may set such attributes, with chattr' },
  async (context) => {
    await using directory = await tempDirectory();
    const file = join(directory.path, 'x.db');
    makeDatabase(file, { journal: 'wal', rows: 20 }).close();
    makeDatabase(join(directory.path, 'new.db'), { journal: 'wal', rows: 30 }).close();
    if (spawnSync('chattr', ['+a', file]).status !== 0) return context.skip('not on this file system');
    try {
      const outcome = await overwrite(directory.path, join(directory.path, 'kept.db'));
      assert.deepEqual(outcome.result, 'failed');
      assert.ok(!existsSync(join(directory.path, 'kept.db')));
    } finally {
      spawnSync('chattr', ['-a', file]);
    }
    assert.equal(notes(file), 20);
  },
);
