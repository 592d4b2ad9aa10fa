import { opendirSync } from 'node:fs';
import { DatabaseSync } from 'node:sqlite';

/** How many names may be held in memory, by all directories of a walk that are open together. */
export interface NameRoom {
  left: number;
}

/** The names in one directory, in the order of their bytes. */
export interface DirectoryNames extends Disposable {
  next(): Buffer | undefined;
  /** Those of the names asked for that are there. */
  readonly seen: ReadonlySet<string>;
}

const entriesAtOnce = 256;
const fewestSpilled = 64;

/**
 * Lists a directory; `seen` tells which of `lookFor` are in it. Names for which there is no room are sorted in a temporary
 * file of SQLite. Throws what the system throws.
 */
export function listDirectory(path: Buffer, room: NameRoom, lookFor: ReadonlySet<string>): DirectoryNames {
  // With this encoding names are bytes, whatever the types say.
  const directory = opendirSync(path, { encoding: 'buffer' as BufferEncoding, bufferSize: entriesAtOnce });
  const seen = new Set<string>();
  const names: Buffer[] = [];
  let spilled: SpilledNames | undefined;
  try {
    for (let entry = directory.readSync(); entry !== null; entry = directory.readSync()) {
      const name = entry.name as unknown as Buffer;
      if (name.length <= longestLookedFor && lookFor.has(name.toString())) seen.add(name.toString());
      names.push(name);
      if (names.length >= Math.max(room.left, fewestSpilled)) {
        spilled ??= new SpilledNames();
        spilled.add(names.splice(0));
      }
    }
  } catch (error) {
    spilled?.[Symbol.dispose]();
    throw error;
  } finally {
    directory.closeSync();
  }
  if (spilled === undefined) return new HeldNames(names, seen, room);
  spilled.add(names);
  return spilled.sorted(seen);
}

const longestLookedFor = 255;

class HeldNames implements DirectoryNames {
  readonly seen: ReadonlySet<string>;
  readonly #names: readonly Buffer[];
  readonly #room: NameRoom;
  #at = 0;

  constructor(names: readonly Buffer[], seen: ReadonlySet<string>, room: NameRoom) {
    this.seen = seen;
    this.#names = names.toSorted((one, other) => Buffer.compare(one, other));
    this.#room = room;
    room.left -= names.length;
  }

  next(): Buffer | undefined {
    this.#at += 1;
    return this.#names[this.#at - 1];
  }

  [Symbol.dispose](): void {
    this.#room.left += this.#names.length;
  }
}

/** Names in a private temporary database, which is gone with the process however it ends. */
class SpilledNames implements Disposable {
  readonly #database = new DatabaseSync('');

  constructor() {
    this.#database.exec(`
      PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA cache_size = -4096;
      CREATE TABLE names (name BLOB PRIMARY KEY) WITHOUT ROWID;`);
  }

  add(names: readonly Buffer[]): void {
    const insert = this.#database.prepare('INSERT OR IGNORE INTO names VALUES (?)');
    this.#database.exec('BEGIN');
    for (const name of names) insert.run(name);
    this.#database.exec('COMMIT');
  }

  sorted(seen: ReadonlySet<string>): DirectoryNames {
    const rows = this.#database.prepare('SELECT name FROM names ORDER BY name').iterate();
    return {
      seen,
      next: () => {
        const row = rows.next();
        return row.done === true ? undefined : Buffer.from(row.value['name'] as Uint8Array);
      },
      [Symbol.dispose]: () => this[Symbol.dispose](),
    };
  }

  [Symbol.dispose](): void {
    this.#database.close();
  }
}
