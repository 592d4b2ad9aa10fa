import { DatabaseSync, type StatementSync } from 'node:sqlite';

/** The first name of a file that has several. */
export interface FirstName {
  /** Of its entry. */
  readonly path: string;
  /** How many of its names have not come yet. */
  readonly left: number;
  /**
   * When its content was taken over and not read: the time of change that it was found with. A name that was found with
   * another is not known to have this content. Empty otherwise.
   */
  readonly ctime: string;
}

/** Remembers the first names of files with several names; many of them on disk. */
export class LinkTable implements Disposable {
  readonly #limit: number;
  readonly #names = new Map<string, FirstName>();
  #spilled: ReturnType<typeof openTemporary> | undefined;

  /** `limit`: how many are held in memory. */
  constructor(limit: number) {
    this.#limit = limit;
  }

  get(id: string): FirstName | undefined {
    const held = this.#names.get(id);
    if (held !== undefined || this.#spilled === undefined) return held;
    const row = this.#spilled.get.get(id);
    return row === undefined
      ? undefined
      : { path: String(row['path']), left: Number(row['names']), ctime: String(row['ctime']) };
  }

  set(id: string, name: FirstName): void {
    if (this.#names.has(id) || this.#names.size < this.#limit) {
      this.#names.set(id, name);
      return;
    }
    this.#spilled ??= openTemporary();
    this.#spilled.set.run(id, name.path, name.left, name.ctime);
  }

  delete(id: string): void {
    this.#names.delete(id);
    this.#spilled?.remove.run(id);
  }

  [Symbol.dispose](): void {
    this.#spilled?.database.close();
  }
}

/** It is gone with the process, however that ends. */
function openTemporary(): { readonly database: DatabaseSync } & Record<
  'get' | 'set' | 'remove',
  StatementSync
> {
  const database = new DatabaseSync('');
  database.exec(`
    PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA cache_size = -8192;
    CREATE TABLE links (id TEXT PRIMARY KEY, path TEXT NOT NULL, names INTEGER NOT NULL, ctime TEXT NOT NULL) WITHOUT ROWID;`);
  return {
    database,
    get: database.prepare('SELECT path, names, ctime FROM links WHERE id = ?'),
    set: database.prepare('INSERT OR REPLACE INTO links VALUES (?, ?, ?, ?)'),
    remove: database.prepare('DELETE FROM links WHERE id = ?'),
  };
}
