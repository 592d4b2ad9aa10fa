import { DatabaseSync, type StatementSync } from 'node:sqlite';
import type { StreamRef } from '../../../contract/stream.ts';
import type { TarMember } from './reader.ts';

export type StoredType = Exclude<TarMember['type'], 'hardlink' | 'special'>;

/** What one or several names stand for. */
export interface ImportNode {
  readonly id: number;
  readonly type: StoredType;
  readonly meta: Readonly<Record<string, unknown>>;
  readonly stream: StreamRef | null;
  /** It may have several names. */
  readonly linked: boolean;
}

/**
 * What a tar file holds, on disk, because tar files have any order and backups a fixed one: names point to nodes, as in a
 * file system, and a name that comes again points elsewhere from then on.
 */
export class ImportTable implements Disposable {
  readonly #database: DatabaseSync;
  readonly #addNode: StatementSync;
  readonly #setStream: StatementSync;
  readonly #setLinked: StatementSync;
  readonly #setName: StatementSync;
  readonly #getName: StatementSync;

  constructor(path: string) {
    this.#database = new DatabaseSync(path);
    // A crash takes the whole file with it: it need not be safe.
    this.#database.exec(`
      PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA cache_size = -16384;
      CREATE TABLE IF NOT EXISTS nodes (id INTEGER PRIMARY KEY, type TEXT NOT NULL, meta TEXT NOT NULL, stream TEXT, linked INTEGER NOT NULL DEFAULT 0);
      CREATE TABLE IF NOT EXISTS names (key BLOB PRIMARY KEY, node INTEGER NOT NULL) WITHOUT ROWID;
      BEGIN`);
    this.#addNode = this.#database.prepare('INSERT INTO nodes (type, meta) VALUES (?, ?)');
    this.#setStream = this.#database.prepare('UPDATE nodes SET stream = ? WHERE id = ?');
    this.#setLinked = this.#database.prepare('UPDATE nodes SET linked = 1 WHERE id = ?');
    this.#setName = this.#database.prepare('INSERT OR REPLACE INTO names VALUES (?, ?)');
    this.#getName = this.#database.prepare(
      'SELECT node, type FROM names JOIN nodes ON id = node WHERE key = ?',
    );
  }

  /** A new node of that name. */
  add(path: Uint8Array, type: StoredType, meta: Readonly<Record<string, unknown>>): number {
    const id = Number(this.#addNode.run(type, JSON.stringify(meta)).lastInsertRowid);
    this.#setName.run(keyOf(path), id);
    return id;
  }

  setStream(id: number, stream: StreamRef): void {
    this.#setStream.run(JSON.stringify(stream), id);
  }

  /** Another name of the same node, whose type is the answer; undefined when there is none called `target`. */
  link(path: Uint8Array, target: Uint8Array): StoredType | undefined {
    const found = this.#getName.get(keyOf(target));
    if (found === undefined) return undefined;
    this.#setName.run(keyOf(path), Number(found['node']));
    this.#setLinked.run(Number(found['node']));
    return found['type'] as StoredType;
  }

  commit(): void {
    this.#database.exec('COMMIT');
  }

  /** Every name with what it stands for, in the order of entries. */
  *inOrder(): Generator<{ readonly path: Buffer; readonly node: ImportNode }> {
    const rows = this.#database
      .prepare('SELECT key, id, type, meta, stream, linked FROM names JOIN nodes ON id = node ORDER BY key')
      .iterate();
    for (const { key, id, type, meta, stream, linked } of rows) {
      const node: ImportNode = {
        id: Number(id),
        type: type as StoredType,
        meta: JSON.parse(String(meta)) as Record<string, unknown>,
        stream: stream === null ? null : (JSON.parse(String(stream)) as StreamRef),
        linked: linked === 1,
      };
      yield { path: pathOf(key as Uint8Array), node };
    }
  }

  [Symbol.dispose](): void {
    this.#database.close();
  }
}

const slash = 0x2f;

/** With 0, which no name has, for the slash: so names sort as entries do. The place itself is empty. */
function keyOf(path: Uint8Array): Buffer {
  return Buffer.from(path.map((byte) => (byte === slash ? 0 : byte)));
}

function pathOf(key: Uint8Array): Buffer {
  return Buffer.from(key.map((byte) => (byte === 0 ? slash : byte)));
}
