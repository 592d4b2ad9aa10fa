import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync, type StatementSync } from 'node:sqlite';
import { failure, reasonOf } from '../../kernel/errors/failure.ts';
import type { RepositoryId } from '../../kernel/ids.ts';

/** What is remembered of WAL that was stored from here: it fills some hundred bytes each, and no more than so many. */
const mostRemembered = 50_000;

export interface RememberedWal {
  /** SHA-256 of the plain bytes. */
  readonly digest: Uint8Array;
  /** Of the object. */
  readonly storedBytes: number;
}

/**
 * What this machine has stored of WAL, on its own disk: an agent cannot read it again to compare. Losing it costs no WAL;
 * what is pushed once more then can be compared by its size alone.
 */
export class WalMemory implements Disposable {
  readonly #database: DatabaseSync;
  readonly #find: StatementSync;
  readonly #note: StatementSync;
  readonly #tidy: StatementSync;

  /** `cache_failed`. */
  constructor(directory: string, repository: RepositoryId) {
    const folder = join(directory, repository);
    const path = join(folder, 'agent-wal.sqlite');
    try {
      mkdirSync(folder, { recursive: true, mode: 0o700 });
      this.#database = openOrRemake(path);
      this.#find = this.#database.prepare('SELECT digest, size FROM wal WHERE name = ?');
      this.#note = this.#database.prepare('INSERT OR REPLACE INTO wal (name, digest, size) VALUES (?, ?, ?)');
      this.#tidy = this.#database.prepare(
        'DELETE FROM wal WHERE number <= (SELECT max(number) FROM wal) - ?',
      );
    } catch (error) {
      throw failure('cache_failed', { path, reason: reasonOf(error) }, { cause: error });
    }
  }

  find(name: string): RememberedWal | undefined {
    const row = this.#find.get(name);
    if (row === undefined) return undefined;
    return { digest: row['digest'] as Uint8Array, storedBytes: Number(row['size']) };
  }

  note(name: string, { digest, storedBytes }: RememberedWal): void {
    this.#note.run(name, digest, storedBytes);
    this.#tidy.run(mostRemembered);
  }

  [Symbol.dispose](): void {
    this.#database.close();
  }
}

function openOrRemake(path: string): DatabaseSync {
  try {
    return openAt(path);
  } catch (error) {
    // Locked by another process for a minute: it is not damaged.
    if (error instanceof Error && 'errcode' in error && (error.errcode === 5 || error.errcode === 6))
      throw error;
    for (const suffix of ['', '-wal', '-shm']) rmSync(`${path}${suffix}`, { force: true });
    return openAt(path);
  }
}

function openAt(path: string): DatabaseSync {
  const database = new DatabaseSync(path, { timeout: 60_000 });
  try {
    database.exec(`
      PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL;
      CREATE TABLE IF NOT EXISTS wal (
        number INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, digest BLOB NOT NULL, size INTEGER NOT NULL);
    `);
    return database;
  } catch (error) {
    database.close();
    throw error;
  }
}
