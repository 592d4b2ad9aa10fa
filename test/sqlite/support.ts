import assert from 'node:assert/strict';
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { DatabaseSync } from 'node:sqlite';
import { backupSqlite, type SqliteBackupOptions } from '../../src/sources/sqlite/backup/backup.ts';
import type { BackupOutcome } from '../../src/sources/port.ts';
import {
  planSqliteRestore,
  runSqliteRestore,
  type SqliteRestored,
} from '../../src/sources/sqlite/restore/restore.ts';
import type { SqliteRestoreOptions } from '../../src/sources/sqlite/restore/options.ts';
import type { MemoryBackup } from '../../testing/memory-backup.ts';

let counted = 0;

/** Different at every call, the same in every run. */
export function countingHex(bytes: number): string {
  counted += 1;
  return counted.toString(16).padStart(bytes * 2, '0');
}

export function backupOptions(
  temporaryDirectory: string,
  paths: readonly string[],
  rest: Partial<SqliteBackupOptions> = {},
): SqliteBackupOptions {
  return {
    paths,
    exclude: [],
    check: 'quick',
    lockWaitMs: 2000,
    temporaryDirectory,
    randomHex: countingHex,
    host: 'testhost',
    now: () => Date.now(),
    ...rest,
  };
}

export async function backUp(
  memory: MemoryBackup,
  temporaryDirectory: string,
  paths: readonly string[],
  rest: Partial<SqliteBackupOptions> = {},
): Promise<BackupOutcome> {
  return await backupSqlite(
    backupOptions(temporaryDirectory, paths, rest),
    memory.backupContext({ jobs: 2 }),
  );
}

export function restoreOptions(
  target: string,
  rest: Partial<SqliteRestoreOptions> = {},
): SqliteRestoreOptions {
  return {
    target,
    targetIsDirectory: false,
    only: [],
    force: false,
    check: true,
    owner: true,
    randomHex: countingHex,
    now: () => Date.now(),
    ...rest,
  };
}

export async function restore(
  memory: MemoryBackup,
  outcome: BackupOutcome,
  target: string,
  rest: Partial<SqliteRestoreOptions> = {},
): Promise<SqliteRestored> {
  const context = memory.restoreContext(outcome.metadata);
  return await runSqliteRestore(await planSqliteRestore(restoreOptions(target, rest), context), context);
}

export interface MakeOptions {
  readonly journal?: 'wal' | 'delete' | 'truncate' | 'persist' | 'memory';
  readonly pageSize?: number;
  readonly rows?: number;
}

/** A database with a table of notes and one of accounts that add up to nothing. Left open: close it. */
export function makeDatabase(
  file: string,
  { journal = 'delete', pageSize = 4096, rows = 500 }: MakeOptions = {},
): DatabaseSync {
  const database = new DatabaseSync(file);
  database.exec(`PRAGMA page_size = ${pageSize}; PRAGMA journal_mode = ${journal}; PRAGMA synchronous = OFF;
    CREATE TABLE notes (id INTEGER PRIMARY KEY, text TEXT, extra BLOB);
    CREATE INDEX notes_text ON notes (text);
    CREATE TABLE accounts (id INTEGER PRIMARY KEY, amount INTEGER NOT NULL);
    WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 100)
    INSERT INTO accounts SELECT i, 0 FROM n`);
  addNotes(database, 1, rows);
  return database;
}

/** Notes `from` to `to`, of about 200 bytes, the same in every run. */
export function addNotes(database: DatabaseSync, from: number, to: number): void {
  if (to < from) return;
  database.exec(`WITH RECURSIVE n(i) AS (SELECT ${from} UNION ALL SELECT i + 1 FROM n WHERE i < ${to})
    INSERT INTO notes SELECT i, printf('%08x note %d', (i * 2654435761) % 4294967296, i),
      CAST(printf('%.150c%d', char(65 + i % 26), i * 7919) AS BLOB) FROM n`);
}

/** Everything in a database as SQL. By the sqlite3 program, which is not ours, where there is one. */
export function dump(file: string): string {
  return execFileSync('sqlite3', ['-readonly', file, '.dump'], { encoding: 'utf8', maxBuffer: 1 << 30 });
}

export const hasSqlite3 = spawnSync('sqlite3', ['--version']).status === 0;
export const needsSqlite3 = hasSqlite3 ? false : 'the sqlite3 program is not installed';

export function integrity(file: string): string {
  const database = new DatabaseSync(file, { readOnly: true });
  try {
    return String(database.prepare('PRAGMA integrity_check').get()?.['integrity_check']);
  } finally {
    database.close();
  }
}

/** How many notes it has. */
export function notes(file: string): number {
  const database = new DatabaseSync(file);
  try {
    return Number(database.prepare('SELECT count(*) AS n FROM notes').get()?.['n']);
  } finally {
    database.close();
  }
}

/** Names in a directory that end in what SQLite or a restore may leave. */
export function leftIn(directory: string): string[] {
  if (!existsSync(directory)) return [];
  return readdirSync(directory, { recursive: true, encoding: 'utf8' }).filter((name) =>
    /-(?:wal|shm|journal|hashes)$|holdfast-(?:restoring|sqlite)/.test(name),
  );
}

export function names(directory: string): string[] {
  return readdirSync(directory)
    .toSorted()
    .map((name) => join(name));
}

export interface Writer extends Disposable {
  /** Ends it; resolves with how many transactions it has committed. */
  stop(): Promise<number>;
}

/** Another process that writes a database of {@link makeDatabase}, transaction after transaction. */
export async function startWriter(file: string): Promise<Writer> {
  const child = spawn(
    process.execPath,
    ['--disable-warning=ExperimentalWarning', join(import.meta.dirname, 'writer-process.ts'), file],
    { stdio: ['pipe', 'pipe', 'inherit'] },
  );
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const first = await lines.next();
  if (first.value !== 'ready') throw new Error(`the writer says ${String(first.value)}`);
  return {
    [Symbol.dispose]: () => void child.kill('SIGKILL'),
    stop: async () => {
      child.stdin.end();
      const last = await lines.next();
      return Number(last.value);
    },
  };
}

/** What must hold of such a database in every consistent state. */
export function assertBalanced(file: string): void {
  const database = new DatabaseSync(file, { readOnly: true });
  try {
    assert.equal(database.prepare('PRAGMA integrity_check').get()?.['integrity_check'], 'ok');
    assert.equal(database.prepare('SELECT sum(amount) AS sum FROM accounts').get()?.['sum'], 0);
  } finally {
    database.close();
  }
}
