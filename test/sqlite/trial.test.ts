import assert from 'node:assert/strict';
import { statSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { silentLogger } from '../../src/kernel/log.ts';
import type { BackupSource } from '../../src/operations/contract.ts';
import { restoreBackup, restoreContext } from '../../src/operations/restore.ts';
import { backupSqlite } from '../../src/sources/sqlite/backup/backup.ts';
import { planSqliteRestore, runSqliteRestore } from '../../src/sources/sqlite/restore/restore.ts';
import { openFsStorage } from '../../src/storage/fs/open.ts';
import { backUp, makeRepository, openTestRepository, silentProgress } from '../../testing/repository.ts';
import { tempDirectory } from '../../testing/temp.ts';
import { backupOptions, makeDatabase, restoreOptions } from './support.ts';

const gigabytes = Number(process.env['HOLDFAST_TRIAL_SQLITE_GB'] ?? '0');
const skip = gigabytes > 0 ? false : 'a large database is tried when HOLDFAST_TRIAL_SQLITE_GB says how large';

test('a large database in use: time and memory', { skip, timeout: 3_600_000 }, async (context) => {
  await using directory = await tempDirectory();
  const file = join(directory.path, 'large.db');
  const database = makeDatabase(file, { journal: 'wal', rows: 0 });
  const rows = Math.ceil((gigabytes * 1e9) / 1030);
  for (let from = 1; from <= rows; from += 100_000) {
    database.exec(`WITH RECURSIVE n(i) AS (SELECT ${from} UNION ALL SELECT i + 1 FROM n WHERE i < ${Math.min(rows, from + 99_999)})
      INSERT INTO notes SELECT i, hex(randomblob(16)), randomblob(450) || zeroblob(450) FROM n`);
  }
  const storage = await openFsStorage(join(directory.path, 'repository'), { create: true });
  await (await makeRepository(storage))[Symbol.asyncDispose]();
  const source: BackupSource = {
    name: 'app',
    kind: 'sqlite',
    backup: (backing) => backupSqlite(backupOptions(directory.path, [file]), backing),
  };
  const timed = async <T>(what: string, work: () => Promise<T>): Promise<T> => {
    const startedMs = performance.now();
    const result = await work();
    const seconds = (performance.now() - startedMs) / 1000;
    const peak = process.resourceUsage().maxRSS / 1024;
    context.diagnostic(`${what}: ${seconds.toFixed(1)} s, peak so far ${peak.toFixed(0)} MiB`);
    return result;
  };
  const run = async (): Promise<Awaited<ReturnType<typeof backUp>>> => {
    await using repository = await openTestRepository(storage);
    return await backUp(repository, source);
  };
  context.diagnostic(`${(statSync(file).size / 1e9).toFixed(2)} GB`);
  const first = await timed('first backup', run);
  const change = database.prepare('UPDATE notes SET extra = randomblob(900) WHERE id = ?');
  database.exec('BEGIN');
  for (let row = 0; row < 5000; row += 1) change.run(1 + ((row * 104_729) % rows));
  database.exec('COMMIT');
  const second = await timed('after 5000 changed rows', run);
  context.diagnostic(`new: ${first.stats.bytes_new} and then ${second.stats.bytes_new} bytes`);
  const target = join(directory.path, 'restored.db');
  await using repository = await openTestRepository(storage);
  const operation = {
    signal: new AbortController().signal,
    log: silentLogger,
    jobs: 2,
    progress: silentProgress,
  };
  const plan = await planSqliteRestore(restoreOptions(target), restoreContext(repository, second, operation));
  const restore = (restoring: Parameters<typeof runSqliteRestore>[1]): ReturnType<typeof runSqliteRestore> =>
    runSqliteRestore(plan, restoring);
  const { checked } = await timed('restore, compared and examined', () =>
    restoreBackup(repository, second, { needs: plan.needs, restore }, operation),
  );
  assert.equal(checked, 1);
  database.close();
});
