import { mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync, type StatementSync } from 'node:sqlite';
import type { Entry } from '../../../../contract/stream.ts';

/** What killed processes leave behind, and whose it was. */
export const temporaryNames = /^holdfast-entries-(\d+)-/;

/**
 * Entries of a backup by their paths, on disk: the server sends files in any order, backups have them in that of their
 * paths, and there may be millions.
 */
export class EntryTable implements Disposable {
  readonly #directory: string;
  readonly #database: DatabaseSync;
  readonly #put: StatementSync;
  readonly #get: StatementSync;

  /** In a file of its own in that directory. */
  constructor(tempDirectory: string) {
    this.#directory = mkdtempSync(join(tempDirectory, `holdfast-entries-${process.pid}-`));
    this.#database = new DatabaseSync(join(this.#directory, 'entries'));
    // A crash takes the whole file with it: it need not be safe. Texts are in the order of the bytes of their UTF-8.
    this.#database.exec(`
      PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA cache_size = -16384;
      CREATE TABLE entries (path TEXT PRIMARY KEY, entry TEXT NOT NULL) WITHOUT ROWID;
      BEGIN`);
    this.#put = this.#database.prepare('INSERT OR REPLACE INTO entries VALUES (?, ?)');
    this.#get = this.#database.prepare('SELECT entry FROM entries WHERE path = ?');
  }

  /** One with the same path gives way. */
  put(entry: Entry): void {
    this.#put.run(entry.path, JSON.stringify(entry));
  }

  find(path: string): Entry | undefined {
    const row = this.#get.get(path);
    return row === undefined ? undefined : entryOf(row['entry']);
  }

  /** In the order of the bytes of their paths. */
  *inOrder(): Generator<Entry, void, void> {
    const rows = this.#database.prepare('SELECT entry FROM entries ORDER BY path').iterate();
    for (const { entry } of rows) yield entryOf(entry);
  }

  [Symbol.dispose](): void {
    this.#database.close();
    rmSync(this.#directory, { recursive: true, force: true });
  }
}

function entryOf(text: unknown): Entry {
  return JSON.parse(String(text)) as Entry;
}
