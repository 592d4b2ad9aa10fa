import assert from 'node:assert/strict';
import {
  appendFileSync,
  chmodSync,
  existsSync,
  linkSync,
  mkdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { test } from 'node:test';
import type { BackupOutcome } from '../../src/sources/port.ts';
import { planSqliteRestore, runSqliteRestore } from '../../src/sources/sqlite/restore/restore.ts';
import { MemoryBackup } from '../../testing/memory-backup.ts';
import { tempDirectory } from '../../testing/temp.ts';
import {
  addNotes,
  backUp,
  integrity,
  leftIn,
  makeDatabase,
  names,
  notes,
  restore,
  restoreOptions,
  startWriter,
} from './support.ts';

interface Stage extends AsyncDisposable {
  readonly memory: MemoryBackup;
  readonly outcome: BackupOutcome;
  readonly target: string;
}

/** A backup of `a.db` (and `sub/b.db`), each with 300 notes, and an empty directory. */
async function stage(count: 1 | 2 = 1): Promise<Stage> {
  const directory = await tempDirectory();
  const data = join(directory.path, 'data');
  const target = join(directory.path, 'target');
  for (const one of [data, join(data, 'sub'), target]) mkdirSync(one);
  makeDatabase(join(data, 'a.db'), { rows: 300, journal: 'wal' }).close();
  if (count === 2) makeDatabase(join(data, 'sub', 'b.db'), { rows: 300 }).close();
  chmodSync(join(data, 'a.db'), 0o640);
  const memory = new MemoryBackup();
  const outcome = await backUp(memory, directory.path, [join(data, '**/*.db')]);
  return { memory, outcome, target, [Symbol.asyncDispose]: () => directory[Symbol.asyncDispose]() };
}

test('one database goes to a file, or by its name into a directory; mode and time come back', async () => {
  await using given = await stage();
  const { memory, outcome, target } = given;
  await restore(memory, outcome, join(target, 'new', 'x.db'));
  await restore(memory, outcome, target);
  await restore(memory, outcome, join(target, 'made'), { targetIsDirectory: true });
  for (const file of ['new/x.db', 'a.db', 'made/a.db']) {
    const path = join(target, file);
    assert.equal(statSync(path).mode & 0o777, 0o640);
    assert.ok(statSync(path).mtimeMs < Date.now() - 1);
    assert.deepEqual(leftIn(target), []);
    assert.equal(notes(path), 300);
  }
});

test('several databases go below a directory; --only takes some', async () => {
  await using given = await stage(2);
  const { memory, outcome, target } = given;
  await restore(memory, outcome, join(target, 'all'));
  assert.equal(notes(join(target, 'all', 'a.db')), 300);
  assert.equal(notes(join(target, 'all', 'sub', 'b.db')), 300);
  await restore(memory, outcome, join(target, 'one.db'), { only: ['sub/*'] });
  assert.equal(integrity(join(target, 'one.db')), 'ok');
  writeFileSync(join(target, 'file'), '');
  await assert.rejects(restore(memory, outcome, join(target, 'file')), {
    errorName: 'restore_target_unusable',
  });
  await assert.rejects(restore(memory, outcome, target, { only: ['sub/c.db'] }), {
    errorName: 'restore_selects_nothing',
    hint: /did you mean sub\/b\.db\?/,
  });
});

test('what is there is not replaced without force; with it the old one is kept whole', async () => {
  await using given = await stage();
  const { memory, outcome, target } = given;
  const file = join(target, 'x.db');
  for (const journal of ['delete', 'wal'] as const) {
    const old = makeDatabase(file, { journal, rows: 7 });
    addNotes(old, 8, 9);
    old.close();
    await assert.rejects(restore(memory, outcome, file), { errorName: 'restore_target_exists' });
    assert.equal(notes(file), 9);
    const { databases } = await restore(memory, outcome, file, { force: true });
    const kept = databases[0]?.replaced ?? '';
    assert.match(kept, /x\.db\.holdfast-replaced-\d{8}T\d{6}Z(-\d)?$/);
    assert.equal(notes(kept), 9);
    assert.equal(notes(file), 300);
    rmSync(file);
  }
  assert.deepEqual(leftIn(target), []);
});

test('what a log holds is in the database that is kept', async () => {
  await using given = await stage();
  const { memory, outcome, target } = given;
  const file = join(target, 'x.db');
  makeDatabase(join(target, 'y.db'), { journal: 'wal', rows: 0 }).close();
  const writer = new DatabaseSync(join(target, 'y.db'));
  addNotes(writer, 1, 50);
  // As a crash leaves it: the transactions are in the log only.
  for (const ending of ['', '-wal'])
    writeFileSync(file + ending, readFileSync(join(target, 'y.db') + ending));
  writer.close();
  const { databases } = await restore(memory, outcome, file, { force: true });
  assert.ok(!existsSync(`${file}-wal`));
  assert.equal(notes(databases[0]?.replaced ?? ''), 50);
  assert.equal(notes(file), 300);
});

test('a log without its database stands in the way, and with force goes aside', async () => {
  await using given = await stage();
  const { memory, outcome, target } = given;
  const file = join(target, 'x.db');
  writeFileSync(`${file}-wal`, 'the log of another database');
  await assert.rejects(restore(memory, outcome, file), {
    errorName: 'restore_target_exists',
    message: /x\.db-wal is there already, left by a database that is gone/,
  });
  const { databases } = await restore(memory, outcome, file, { force: true });
  assert.deepEqual(
    leftIn(target).filter((name) => !name.includes('replaced')),
    [],
  );
  assert.equal(readFileSync(databases[0]?.replaced ?? '', 'utf8'), 'the log of another database');
  assert.equal(notes(file), 300);
});

test('a file that is no database is moved aside as it is, with what lies beside it', async () => {
  await using given = await stage();
  const { memory, outcome, target } = given;
  const file = join(target, 'x.db');
  writeFileSync(file, 'no database');
  writeFileSync(`${file}-journal`, 'nor a journal');
  const { databases } = await restore(memory, outcome, file, { force: true });
  const kept = databases[0]?.replaced ?? '';
  assert.equal(readFileSync(kept, 'utf8'), 'no database');
  assert.equal(readFileSync(`${kept}-journal`, 'utf8'), 'nor a journal');
  assert.equal(notes(file), 300);
});

test('a database in use is not replaced', async () => {
  await using given = await stage(2);
  const { memory, outcome, target } = given;
  makeDatabase(join(target, 'a.db'), { rows: 5 }).close();
  mkdirSync(join(target, 'sub'));
  const file = join(target, 'sub', 'b.db');
  for (const journal of ['wal', 'delete'] as const) {
    makeDatabase(file, { journal, rows: 5 }).close();
    const before = names(target);
    using writer = await startWriter(file);
    await assert.rejects(restore(memory, outcome, target, { force: true }), {
      code: 'HF-5118',
      exitCode: 7,
      message: /b\.db is in use by node \(process \d+\)$/,
    });
    await writer.stop();
    assert.deepEqual(names(target), before);
    assert.equal(notes(join(target, 'a.db')), 5);
    rmSync(file);
  }
  assert.deepEqual(leftIn(target), []);
});

test('a connection of this process that holds a lock is noticed too', async () => {
  await using given = await stage();
  const { memory, outcome, target } = given;
  const file = join(target, 'x.db');
  const database = makeDatabase(file, { rows: 5, journal: 'wal' });
  await assert.rejects(restore(memory, outcome, file, { force: true }), { code: 'HF-5118' });
  database.close();
  assert.equal(notes(file), 5);
});

test('a symbolic link is followed: what it leads to is replaced', async () => {
  await using given = await stage();
  const { memory, outcome, target } = given;
  makeDatabase(join(target, 'real.db'), { rows: 5 }).close();
  symlinkSync('real.db', join(target, 'link.db'));
  await restore(memory, outcome, join(target, 'link.db'), { force: true });
  assert.equal(notes(join(target, 'real.db')), 300);
  symlinkSync('nowhere.db', join(target, 'broken.db'));
  await assert.rejects(restore(memory, outcome, join(target, 'broken.db')), {
    errorName: 'restore_target_unusable',
  });
});

test('two databases are not restored into one file, nor out of the target through a link', async () => {
  await using given = await stage(2);
  const { memory, outcome, target } = given;
  const outside = join(target, '..', 'outside');
  mkdirSync(outside);
  symlinkSync(outside, join(target, 'sub'));
  await assert.rejects(restore(memory, outcome, target, { force: true }), {
    errorName: 'restore_target_unusable',
    message: /leads out of the target/,
  });
  assert.deepEqual(names(outside), []);
  rmSync(join(target, 'sub'));
  mkdirSync(join(target, 'sub'));
  makeDatabase(join(target, 'a.db'), { rows: 5 }).close();
  for (const make of [
    () => symlinkSync('../a.db', join(target, 'sub', 'b.db')),
    () => linkSync(join(target, 'a.db'), join(target, 'sub', 'b.db')),
  ]) {
    make();
    await assert.rejects(restore(memory, outcome, target, { force: true }), {
      errorName: 'restore_target_unusable',
      message: /both a\.db and sub\/b\.db would go there/,
    });
    rmSync(join(target, 'sub', 'b.db'));
  }
  assert.equal(notes(join(target, 'a.db')), 5);
});

test('an abort, and bytes that read back differently, leave the target as it was', async () => {
  await using given = await stage(2);
  const { memory, outcome, target } = given;
  makeDatabase(join(target, 'a.db'), { rows: 5 }).close();
  for (const kind of ['abort', 'differs'] as const) {
    const controller = new AbortController();
    const context = memory.restoreContext(outcome.metadata, { signal: controller.signal });
    const plan = await planSqliteRestore(restoreOptions(target, { force: true }), context);
    let pieces = 0;
    memory.interrupt = () => {
      pieces += 1;
      if (pieces !== 3) return;
      if (kind === 'abort') controller.abort(new Error('stop'));
      else
        for (const name of leftIn(target))
          if (!name.endsWith('-hashes')) appendFileSync(join(target, name), 'x');
    };
    const expected = kind === 'abort' ? /stop/ : { errorName: 'restore_differs' };
    await assert.rejects(runSqliteRestore(plan, context), expected);
    memory.interrupt = undefined;
    assert.deepEqual(names(target), ['a.db'], kind);
    assert.equal(notes(join(target, 'a.db')), 5);
  }
});

test('when one cannot be put in place, those before it are taken back', async () => {
  await using given = await stage(2);
  const { memory, outcome, target } = given;
  makeDatabase(join(target, 'a.db'), { rows: 5 }).close();
  const context = memory.restoreContext(outcome.metadata);
  const plan = await planSqliteRestore(restoreOptions(target, { force: true }), context);
  // After the plan somebody makes a file where the second database is to go.
  mkdirSync(join(target, 'sub'));
  writeFileSync(join(target, 'sub', 'b.db'), 'mine');
  await assert.rejects(runSqliteRestore(plan, context), { errorName: 'restore_target_exists' });
  assert.deepEqual(names(target), ['a.db', 'sub']);
  assert.equal(notes(join(target, 'a.db')), 5);
  assert.equal(readFileSync(join(target, 'sub', 'b.db'), 'utf8'), 'mine');
});

test('damage that only the check of a restore looks for stops it, unless it is not wanted', async () => {
  await using directory = await tempDirectory();
  const file = join(directory.path, 'a.db');
  const database = makeDatabase(file, { rows: 300 });
  database.enableDefensive(false);
  // An index of other values than those it says it is of: as many, in another order.
  database.exec(`PRAGMA writable_schema = ON;
    UPDATE sqlite_schema SET sql = 'CREATE INDEX notes_text ON notes (extra)' WHERE name = 'notes_text'`);
  database.close();
  const changed = new DatabaseSync(file, { defensive: false });
  changed.exec('REINDEX; PRAGMA writable_schema = ON');
  changed.exec(
    "UPDATE sqlite_schema SET sql = 'CREATE INDEX notes_text ON notes (text)' WHERE name = 'notes_text'",
  );
  changed.close();
  const memory = new MemoryBackup();
  const outcome = await backUp(memory, directory.path, [file]);
  assert.deepEqual(outcome.warnings, []);
  const target = join(directory.path, 'restored.db');
  await assert.rejects(restore(memory, outcome, target), { code: 'HF-5119', message: /notes_text/ });
  assert.ok(!existsSync(target));
  assert.deepEqual(leftIn(directory.path), []);
  const restored = await restore(memory, outcome, target, { check: false });
  assert.equal(restored.checked, 0);
});
