import { DatabaseSync } from 'node:sqlite';
import { isObjectName } from '../names.ts';
import type { ObjectInfo } from '../port.ts';
import { quoted, type DriveFile } from './drive.ts';
import { groupOf, ourProperty, type DrivePlace } from './place.ts';

/** Objects read back at once. */
const batchObjects = 500;

/**
 * Drive gives files in no order that we could use, so everything is collected in a table on disk first, in which each
 * name has the oldest of its files.
 */
export async function* listObjects(
  place: DrivePlace,
  prefix: string,
  after: string,
  signal: AbortSignal | undefined,
): AsyncGenerator<ObjectInfo, void, void> {
  using table = new SortedFiles();
  const call = { signal, deed: place.deed('list', prefix === '' ? 'objects' : prefix) };
  const take = (files: Iterable<DriveFile>): void =>
    table.add([...files].filter((file) => isWanted(place, file, prefix)));
  for await (const page of place.drive.search(queryFor(place, prefix), place.folder.driveId, call))
    take(page);
  for (const file of place.recent.unsettled()) {
    // A search that lags behind: ask for what was made here by its id.
    if (!isWanted(place, file, prefix) || table.has(file.id)) continue;
    const seen = await place.drive.find(file.id, call);
    if (seen !== undefined) take([seen]);
  }
  for (const [name, ids] of place.recent.doubts()) {
    if (!name.startsWith(prefix)) continue;
    const seen = await Promise.all(
      ids.filter((id) => !table.has(id)).map((id) => place.drive.find(id, call)),
    );
    take(seen.filter((file) => file !== undefined));
  }
  if (table.isEmpty) await place.assertInPlace({ trusting: false, signal });
  for (let last = after; ;) {
    const batch = table.after(last, batchObjects);
    yield* batch;
    signal?.throwIfAborted();
    last = batch.at(-1)?.name ?? last;
    if (batch.length < batchObjects) return;
  }
}

/** Somebody else's things in the folder. */
export async function findForeign(
  place: DrivePlace,
  signal: AbortSignal | undefined,
): Promise<string | undefined> {
  const query = `${quoted(place.folder.id)} in parents`;
  const call = { signal, deed: place.deed('list', 'objects') };
  for await (const page of place.drive.search(query, place.folder.driveId, call)) {
    const foreign = page.find((file) => !place.isObject(file) || !isObjectName(file.name));
    if (foreign !== undefined) return foreign.name;
  }
  return undefined;
}

/** The service can look for a first folder only; the rest of the prefix is compared here. */
function queryFor({ folder }: DrivePlace, prefix: string): string {
  const all = `${quoted(folder.id)} in parents`;
  if (!prefix.includes('/')) return all;
  return `${all} and properties has { key=${quoted(ourProperty)} and value=${quoted(groupOf(prefix))} }`;
}

function isWanted(place: DrivePlace, file: DriveFile, prefix: string): boolean {
  if (!file.name.startsWith(prefix) || place.recent.wasRemoved(file.id)) return false;
  return isObjectName(file.name) && place.isObject(file);
}

/** Files in the order of their names, in a temporary database that is gone when it is closed. */
class SortedFiles implements Disposable {
  readonly #database = new DatabaseSync('');
  readonly #insert;
  readonly #select;
  readonly #known;

  constructor() {
    this.#database.exec(`
      PRAGMA cache_size = -4096;
      CREATE TABLE files (id TEXT PRIMARY KEY, name TEXT NOT NULL, size INTEGER NOT NULL, created INTEGER NOT NULL) WITHOUT ROWID;
      CREATE INDEX by_name ON files (name, created, id);`);
    this.#insert = this.#database.prepare('INSERT OR IGNORE INTO files VALUES (?, ?, ?, ?)');
    this.#known = this.#database.prepare('SELECT 1 FROM files WHERE id = ?');
    // Of several files with one name the oldest is the object.
    this.#select = this.#database.prepare(`
      SELECT name, size, created FROM files AS file
      WHERE name > ? AND NOT EXISTS (
        SELECT 1 FROM files AS older
        WHERE older.name = file.name AND (older.created, older.id) < (file.created, file.id))
      ORDER BY name LIMIT ?`);
  }

  add(files: readonly DriveFile[]): void {
    this.#database.exec('BEGIN');
    for (const { id, name, size, createdTime } of files) this.#insert.run(id, name, size, createdTime);
    this.#database.exec('COMMIT');
  }

  has(id: string): boolean {
    return this.#known.get(id) !== undefined;
  }

  get isEmpty(): boolean {
    return this.after('', 1).length === 0;
  }

  after(name: string, limit: number): ObjectInfo[] {
    return this.#select.all(name, limit).map((row) => ({
      name: String(row['name']),
      sizeBytes: Number(row['size']),
      modifiedAtMs: Number(row['created']),
    }));
  }

  [Symbol.dispose](): void {
    this.#database.close();
  }
}
