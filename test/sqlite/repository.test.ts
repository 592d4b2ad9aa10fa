import assert from 'node:assert/strict';
import { mkdirSync, readFileSync, renameSync, rmSync, statSync, utimesSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { test } from 'node:test';
import fc from 'fast-check';
import type { Manifest } from '../../src/contract/manifest.ts';
import { systemClock } from '../../src/kernel/clock.ts';
import { silentLogger } from '../../src/kernel/log.ts';
import type { BackupSource } from '../../src/operations/contract.ts';
import { restoreBackup, restoreContext } from '../../src/operations/restore.ts';
import { verifyRepository } from '../../src/operations/verify.ts';
import type { Repository } from '../../src/repository/repository.ts';
import { backupSqlite } from '../../src/sources/sqlite/backup/backup.ts';
import { sqliteMetadataSchema } from '../../src/sources/sqlite/metadata.ts';
import { planSqliteRestore, runSqliteRestore } from '../../src/sources/sqlite/restore/restore.ts';
import { MemoryStorage } from '../../src/storage/memory/memory-storage.ts';
import { crashAtMutation } from '../../src/storage/wrap/fault-plan.ts';
import { withFaults } from '../../src/storage/wrap/faults.ts';
import { backUp, makeRepository, openTestRepository, silentProgress } from '../../testing/repository.ts';
import { tempDirectory } from '../../testing/temp.ts';
import {
  addNotes,
  assertBalanced,
  backupOptions,
  integrity,
  leftIn,
  makeDatabase,
  restoreOptions,
} from './support.ts';

function source(temporary: string, paths: readonly string[], now = (): number => Date.now()): BackupSource {
  return {
    name: 'app',
    kind: 'sqlite',
    backup: (context) => backupSqlite(backupOptions(temporary, paths, { now }), context),
  };
}

const operation = {
  signal: new AbortController().signal,
  log: silentLogger,
  jobs: 1,
  progress: silentProgress,
};
const verifyAll = { ...operation, readData: true };

async function restoreTo(repository: Repository, manifest: Manifest, target: string): Promise<void> {
  const plan = await planSqliteRestore(
    restoreOptions(target),
    restoreContext(repository, manifest, operation),
  );
  const restorer = {
    needs: plan.needs,
    restore: (context: Parameters<typeof runSqliteRestore>[1]) => runSqliteRestore(plan, context),
  };
  await restoreBackup(repository, manifest, restorer, operation);
}

test('a second backup after 900 changed rows in a table of 65 MB stores about the pages they are in', async (context) => {
  await using directory = await tempDirectory();
  const file = join(directory.path, 'app.db');
  const database = makeDatabase(file, { journal: 'wal', rows: 290_000 });
  const storage = new MemoryStorage(systemClock);
  await using repository = await makeRepository(storage);
  const first = await backUp(repository, source(directory.path, [file]));
  const change = database.prepare('UPDATE notes SET extra = randomblob(154) WHERE id = ?');
  database.exec('BEGIN');
  for (let row = 0; row < 900; row += 1) change.run(1 + ((row * 104_729) % 290_000));
  database.exec('COMMIT');
  await using again = await openTestRepository(storage);
  const second = await backUp(again, source(directory.path, [file]));
  const mb = (bytes: number): string => `${(bytes / 1e6).toFixed(1)} MB`;
  context.diagnostic(
    `first read ${mb(first.stats.bytes_read)}, added ${mb(first.stats.bytes_added)}; second new ${mb(second.stats.bytes_new)}, added ${mb(second.stats.bytes_added)}`,
  );
  assert.ok(first.stats.bytes_read > 60e6);
  // 900 rows lie in at most 900 pages; and where one has changed the hashes of 32 pages are stored anew.
  const pages = 900 * 4096;
  assert.ok(second.stats.bytes_new < pages * 1.25 + 500_000, `${second.stats.bytes_new} bytes are new`);
  const target = join(directory.path, 'restored.db');
  await restoreTo(again, second, target);
  assertBalanced(target);
  database.exec('PRAGMA wal_checkpoint(TRUNCATE)');
  database.close();
  assert.ok(samePages(target, file));
});

/** Equal but for the first page, in which SQLite keeps counters of its own. */
function samePages(a: string, b: string): boolean {
  return readFileSync(a).subarray(4096).equals(readFileSync(b).subarray(4096));
}

const steps = fc.array(
  fc.oneof(
    {
      weight: 5,
      arbitrary: fc.record({
        do: fc.constant('update' as const),
        from: fc.nat(2000),
        step: fc.integer({ min: 1, max: 400 }),
      }),
    },
    {
      weight: 3,
      arbitrary: fc.record({ do: fc.constant('insert' as const), rows: fc.integer({ min: 1, max: 800 }) }),
    },
    {
      weight: 2,
      arbitrary: fc.record({ do: fc.constant('delete' as const), from: fc.nat(2000), rows: fc.nat(1500) }),
    },
    { weight: 1, arbitrary: fc.constant({ do: 'vacuum' as const }) },
    {
      weight: 1,
      arbitrary: fc.record({
        do: fc.constant('page size' as const),
        to: fc.constantFrom(512, 1024, 4096, 16_384, 65_536),
      }),
    },
    {
      weight: 1,
      arbitrary: fc.record({ do: fc.constant('journal' as const), to: fc.constantFrom('wal', 'delete') }),
    },
  ),
  { minLength: 30, maxLength: 30 },
);

test('each backup of a chain of 30 random increments restores alone', async () => {
  await fc.assert(
    fc.asyncProperty(steps, async (plan) => {
      await using directory = await tempDirectory();
      const file = join(directory.path, 'app.db');
      const database = makeDatabase(file, { rows: 1500 });
      const storage = new MemoryStorage(systemClock);
      await (await makeRepository(storage, { encrypted: false }))[Symbol.asyncDispose]();
      const cache = join(directory.path, 'cache');
      mkdirSync(cache);
      const chain: { readonly manifest: Manifest; readonly dump: string }[] = [];
      let last = 1500;
      for (const step of plan) {
        if (step.do === 'update')
          database.exec(
            `UPDATE notes SET extra = randomblob(180) WHERE id >= ${step.from} AND id % ${step.step} = 0`,
          );
        else if (step.do === 'insert') addNotes(database, last + 1, (last += step.rows));
        else if (step.do === 'delete')
          database.exec(`DELETE FROM notes WHERE id BETWEEN ${step.from} AND ${step.from + step.rows}`);
        else if (step.do === 'journal') database.exec(`PRAGMA journal_mode = ${step.to}`);
        else if (step.do === 'page size')
          database.exec(`PRAGMA journal_mode = delete; PRAGMA page_size = ${step.to}; VACUUM`);
        else database.exec('VACUUM');
        await using repository = await openTestRepository(storage, { cache });
        const manifest = await backUp(repository, source(directory.path, [file]));
        chain.push({ manifest, dump: contentOf(file) });
      }
      database.close();
      await using repository = await openTestRepository(storage, { cache });
      for (const { manifest, dump } of chain) {
        const target = join(directory.path, 'restored.db');
        await restoreTo(repository, manifest, target);
        assert.ok(contentOf(target) === dump, 'another content');
        for (const ending of ['', '-wal', '-shm']) rmSync(target + ending, { force: true });
      }
    }),
    { numRuns: 1 },
  );
});

function contentOf(file: string): string {
  const database = new DatabaseSync(file, { readOnly: true });
  try {
    const rows = database.prepare('SELECT id, text, hex(extra) AS extra FROM notes ORDER BY id').all();
    return JSON.stringify(rows);
  } finally {
    database.close();
  }
}

async function copyOf(storage: MemoryStorage): Promise<MemoryStorage> {
  const copy = new MemoryStorage(systemClock);
  for await (const { name } of storage.list('')) await copy.put(name, await storage.get(name));
  return copy;
}

test('a crash at every write of an increment leaves only whole backups', async () => {
  await using directory = await tempDirectory();
  const file = join(directory.path, 'app.db');
  const database = makeDatabase(file, { journal: 'wal', rows: 3000 });
  const start = new MemoryStorage(systemClock);
  const opened = await makeRepository(start, { encrypted: false });
  await backUp(opened, source(directory.path, [file]));
  await opened[Symbol.asyncDispose]();
  database.exec('UPDATE notes SET extra = randomblob(150) WHERE id % 40 = 0');
  let finished = false;
  for (let mutation = 1; !finished; mutation += 1) {
    assert.ok(mutation < 30, 'the backup never got through');
    for (const applied of [false, true]) {
      const storage = await copyOf(start);
      finished = await backUpThrough(storage, mutation, applied, source(directory.path, [file]));
      await assertWhole(storage, directory.path);
      await using repository = await openTestRepository(storage);
      await backUp(repository, source(directory.path, [file]));
      await assertWhole(storage, directory.path);
    }
  }
  database.close();
});

async function backUpThrough(
  storage: MemoryStorage,
  mutation: number,
  applied: boolean,
  from: BackupSource,
): Promise<boolean> {
  await using repository = await openTestRepository(withFaults(storage, crashAtMutation(mutation, applied)));
  try {
    await backUp(repository, from);
    return true;
  } catch {
    return false;
  }
}

async function assertWhole(storage: MemoryStorage, directory: string): Promise<void> {
  await using repository = await openTestRepository(storage);
  assert.deepEqual((await verifyRepository(repository, verifyAll)).problems, []);
  for (const name of await repository.names()) {
    const target = join(directory, 'restored.db');
    await restoreTo(repository, await repository.manifest(name), target);
    assertBalanced(target);
    for (const ending of ['', '-wal', '-shm']) rmSync(target + ending, { force: true });
  }
}

test('flipped bits are found by verify, and the next backup stores again what was lost', async () => {
  await using directory = await tempDirectory();
  const file = join(directory.path, 'app.db');
  const database = makeDatabase(file, { journal: 'wal', rows: 3000 });
  const storage = new MemoryStorage(systemClock);
  await (await makeRepository(storage))[Symbol.asyncDispose]();
  for (let round = 0; round < 3; round += 1) {
    await using repository = await openTestRepository(storage);
    await backUp(repository, source(directory.path, [file]));
    database.exec(`UPDATE notes SET extra = randomblob(150) WHERE id % 50 = ${round}`);
  }
  const [pack = ''] = (await Array.fromAsync(storage.list('packs/'))).map(({ name }) => name);
  const bytes = Buffer.from(await storage.get(pack));
  for (let at = 100; at < bytes.length; at += 50_000) bytes[at] = (bytes[at] ?? 0) ^ 4;
  await storage.delete(pack);
  await storage.put(pack, bytes);
  const cache = join(directory.path, 'cache');
  mkdirSync(cache);
  await using repository = await openTestRepository(storage, { cache });
  const report = await verifyRepository(repository, verifyAll);
  assert.ok(report.problems.length > 0);
  // What verify found damaged is not relied on.
  await using again = await openTestRepository(storage, { cache });
  const manifest = await backUp(again, source(directory.path, [file]));
  const target = join(directory.path, 'restored.db');
  await restoreTo(again, manifest, target);
  assertBalanced(target);
  database.close();
});

test('a database that was not touched is taken over without being opened', async () => {
  await using directory = await tempDirectory();
  const files = ['a.db', 'b.db'].map((name) => join(directory.path, name));
  for (const file of files) makeDatabase(file, { journal: 'wal', rows: 300 }).close();
  const storage = new MemoryStorage(systemClock);
  await (await makeRepository(storage))[Symbol.asyncDispose]();
  // Everything happens 10 s later than the files say.
  const clock = { ...systemClock, now: () => systemClock.now() + 10_000 };
  const run = async (): Promise<Manifest> => {
    await using repository = await openTestRepository(storage, { clock });
    return await backUp(repository, source(directory.path, files, clock.now), { clock });
  };
  const first = await run();
  assert.equal(sqliteMetadataSchema.parse(first.metadata).unchanged, 0);
  const second = await run();
  assert.equal(sqliteMetadataSchema.parse(second.metadata).unchanged, 2);
  assert.equal(second.stats.bytes_read, 0);
  const database = new DatabaseSync(files[0] ?? '');
  addNotes(database, 1000, 1001);
  database.close();
  const third = await run();
  assert.equal(sqliteMetadataSchema.parse(third.metadata).unchanged, 1);
  await using repository = await openTestRepository(storage);
  await restoreTo(repository, third, join(directory.path, 'restored'));
  for (const name of ['a.db', 'b.db']) assert.equal(integrity(join(directory.path, 'restored', name)), 'ok');
  assert.equal(statSync(join(directory.path, 'restored', 'b.db')).size, statSync(files[1] ?? '').size);
});

test('a log that was written anew in place is not taken for the old one, whatever its times say', async () => {
  await using directory = await tempDirectory();
  const file = join(directory.path, 'a.db');
  const database = makeDatabase(file, { journal: 'wal', rows: 300 });
  database.exec('PRAGMA wal_autocheckpoint = 0');
  addNotes(database, 1000, 1100);
  // From here on the log is written from its beginning, and keeps its size.
  database.exec("PRAGMA wal_checkpoint(RESTART); UPDATE notes SET text = 'first' WHERE id = 1");
  const time = Math.floor(Date.now() / 1000);
  const setBack = (): void => utimesSync(`${file}-wal`, time, time);
  setBack();
  const storage = new MemoryStorage(systemClock);
  await (await makeRepository(storage))[Symbol.asyncDispose]();
  const clock = { ...systemClock, now: () => systemClock.now() + 10_000 };
  const run = async (): Promise<Manifest> => {
    await using repository = await openTestRepository(storage, { clock });
    return await backUp(repository, source(directory.path, [file], clock.now), { clock });
  };
  await run();
  assert.equal(sqliteMetadataSchema.parse((await run()).metadata).unchanged, 1);
  const { size } = statSync(`${file}-wal`);
  database.exec("UPDATE notes SET text = 'second' WHERE id = 1");
  setBack();
  assert.equal(statSync(`${file}-wal`).size, size);
  const last = await run();
  assert.equal(sqliteMetadataSchema.parse(last.metadata).unchanged, 0);
  database.close();
  await using repository = await openTestRepository(storage);
  await restoreTo(repository, last, join(directory.path, 'restored.db'));
  const restored = new DatabaseSync(join(directory.path, 'restored.db'));
  assert.equal(restored.prepare('SELECT text FROM notes WHERE id = 1').get()?.['text'], 'second');
  restored.close();
});

test('a database in use that nobody has written is taken over too; one that was moved costs nothing', async () => {
  await using directory = await tempDirectory();
  const file = join(directory.path, 'a.db');
  const database = makeDatabase(file, { journal: 'wal', rows: 3000 });
  const storage = new MemoryStorage(systemClock);
  await (await makeRepository(storage))[Symbol.asyncDispose]();
  const clock = { ...systemClock, now: () => systemClock.now() + 10_000 };
  const run = async (path: string): Promise<Manifest> => {
    await using repository = await openTestRepository(storage, { clock });
    return await backUp(repository, source(directory.path, [path], clock.now), { clock });
  };
  await run(file);
  assert.equal(sqliteMetadataSchema.parse((await run(file)).metadata).unchanged, 1);
  database.close();
  mkdirSync(join(directory.path, 'moved'));
  const moved = join(directory.path, 'moved', 'a.db');
  renameSync(file, moved);
  const third = await run(moved);
  assert.ok(third.stats.bytes_read > 500_000);
  // The first page, in which SQLite counts copies, and its hash.
  assert.ok(third.stats.bytes_new < 20_000, `${third.stats.bytes_new} bytes are new`);
});

test('a large one is stored in parts at once, and its second backup builds on them', async () => {
  await using directory = await tempDirectory();
  const file = join(directory.path, 'app.db');
  const database = makeDatabase(file, { journal: 'wal', rows: 10 });
  database.exec(`WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 700)
    INSERT INTO notes (text, extra) SELECT 'large', randomblob(100000) FROM n`);
  const storage = new MemoryStorage(systemClock);
  await using repository = await makeRepository(storage);
  const first = await backUp(repository, source(directory.path, [file]), { jobs: 3 });
  assert.ok((first.stats.bytes ?? 0) > 70_000_000);
  database.exec("UPDATE notes SET text = 'other' WHERE id = 300");
  database.close();
  await using again = await openTestRepository(storage);
  const second = await backUp(again, source(directory.path, [file]), { jobs: 3 });
  assert.ok(second.stats.bytes_new < 1_000_000, String(second.stats.bytes_new));
  for (const [name, manifest] of [
    ['first.db', first],
    ['second.db', second],
  ] as const) {
    await restoreTo(again, manifest, join(directory.path, name));
    assert.equal(integrity(join(directory.path, name)), 'ok');
  }
  assert.ok(readFileSync(join(directory.path, 'second.db')).equals(readFileSync(file)));
});

test('an abort while parts are stored ends the backup and leaves no copy', async () => {
  await using directory = await tempDirectory();
  const file = join(directory.path, 'app.db');
  makeDatabase(file, { rows: 290_000 }).close();
  await using repository = await makeRepository(new MemoryStorage(systemClock));
  const controller = new AbortController();
  const stopped = backUp(
    repository,
    {
      ...source(directory.path, [file]),
      backup: (context) =>
        backupSqlite(backupOptions(directory.path, [file]), {
          ...context,
          progress: { ...context.progress, advance: () => controller.abort(new Error('stop')) },
        }),
    },
    { jobs: 2, signal: controller.signal },
  );
  await assert.rejects(stopped, /stop/);
  assert.deepEqual(leftIn(directory.path), []);
});
