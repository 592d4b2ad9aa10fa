import type { DatabaseSync, SQLInputValue, StatementSync } from 'node:sqlite';
import { footerEntryBytes, recordHeaderBytes, writeEntry } from '../../pipeline/pack-format.ts';
import type { BlobType } from '../../pipeline/blob.ts';
import { isDamaged, isDoomed, isListed, isOfAgent } from '../index-tables.ts';

/** A pack that was listed, and how much of it is needed. */
export interface PackUse {
  readonly id: string;
  readonly sizeBytes: number;
  /** Blobs that have their home here. */
  readonly liveBlobs: number;
  /** Stored bytes of those, with the headers of their records. */
  readonly liveBytes: number;
  /** The same of the others: what would be gained by taking the pack apart. */
  readonly deadBytes: number;
}

export interface UseTotals {
  readonly packs: number;
  readonly bytes: number;
  /** Packs in which nothing is needed. */
  readonly deadPacks: number;
  readonly deadBytes: number;
  /** Of the other packs, bytes that nobody needs. */
  readonly unusedBytes: number;
}

/** So many pieces, by the first byte of an id, long statements are done in: between two others get their turn. */
const slices = 64;

/**
 * Which blobs are needed, and in which pack each of them is at home: of several copies one. All of it is in temporary
 * tables on disk, so that memory stays small.
 */
export class LiveSet {
  readonly #database: DatabaseSync;
  readonly #coded: <T>(work: () => T) => T;
  readonly #add: StatementSync;
  #findDead: StatementSync | undefined;

  /** Empties what an earlier one left. `coded` gives SQLite's errors their code. */
  constructor(database: DatabaseSync, coded: <T>(work: () => T) => T) {
    this.#database = database;
    this.#coded = coded;
    coded(() =>
      database.exec(`
        CREATE TEMP TABLE IF NOT EXISTS live (id BLOB PRIMARY KEY) WITHOUT ROWID;
        CREATE TEMP TABLE IF NOT EXISTS home (id BLOB PRIMARY KEY, pack INTEGER) WITHOUT ROWID;
        CREATE TEMP TABLE IF NOT EXISTS kept (pack INTEGER PRIMARY KEY, blobs INTEGER NOT NULL, bytes INTEGER NOT NULL);
        CREATE TEMP TABLE IF NOT EXISTS leaving (pack INTEGER PRIMARY KEY);
        DELETE FROM temp.live; DELETE FROM temp.home; DELETE FROM temp.kept; DELETE FROM temp.leaving;
      `),
    );
    this.#add = database.prepare('INSERT OR IGNORE INTO temp.live VALUES (?)');
  }

  /** Notes that a blob is needed; true the first time. */
  add(id: Uint8Array): boolean {
    return this.#coded(() => this.#add.run(id).changes === 1);
  }

  /**
   * Finds a home for every blob: a copy in a listed pack, better not damaged, better not
   * marked, better not of an agent. Resolves with those that
   * have none: how many, and the hex id of one. To be called when all were added; and again when copies were found damaged
   * since.
   */
  async settle(): Promise<{ readonly homeless: number; readonly example: string | undefined }> {
    this.#coded(() => this.#database.exec('DELETE FROM temp.home; DELETE FROM temp.kept'));
    const settle = this.#database.prepare(`
      INSERT INTO temp.home
      SELECT v.id, (SELECT b.pack FROM blobs b JOIN packs p ON p.number = b.pack
                    WHERE b.id = v.id AND ${isListed} ORDER BY ${isDamaged}, ${isDoomed}, ${isOfAgent}, p.id LIMIT 1)
      FROM temp.live v WHERE v.id >= ? AND v.id < ?`);
    for (let slice = 0; slice < slices; slice += 1) {
      this.#coded(() => settle.run(border(slice), border(slice + 1)));
      await new Promise(setImmediate);
    }
    this.#coded(() =>
      this.#database.exec(`
        INSERT INTO temp.kept
        SELECT h.pack, COUNT(*), SUM(b.stored + ${recordHeaderBytes})
        FROM temp.home h JOIN blobs b ON b.id = h.id AND b.pack = h.pack WHERE h.pack IS NOT NULL GROUP BY h.pack`),
    );
    const row = this.#one(
      'SELECT COUNT(*) AS homeless, MIN(id) AS example FROM temp.home WHERE pack IS NULL',
    );
    const example = row['example'];
    return { homeless: Number(row['homeless']), example: example === null ? undefined : hex(example) };
  }

  totals(): UseTotals {
    const row = this.#one(`
      SELECT COUNT(*) AS packs, COALESCE(SUM(l.size), 0) AS bytes,
             COUNT(*) FILTER (WHERE k.pack IS NULL) AS dead,
             COALESCE(SUM(l.size) FILTER (WHERE k.pack IS NULL), 0) AS dead_bytes,
             COALESCE(SUM(${overheadFree} - k.bytes) FILTER (WHERE k.pack IS NOT NULL), 0) AS unused
      FROM temp.listing l LEFT JOIN packs p ON p.id = l.id AND p.size = l.size LEFT JOIN temp.kept k ON k.pack = p.number`);
    return {
      packs: Number(row['packs']),
      bytes: Number(row['bytes']),
      deadPacks: Number(row['dead']),
      deadBytes: Number(row['dead_bytes']),
      unusedBytes: Number(row['unused']),
    };
  }

  /**
   * Listed packs, stored before then by the storage's clock, whose contents are known and of which nothing is needed, and
   * that are not marked yet; by id.
   */
  dead(storedBeforeMs: number): IterableIterator<PackUse> {
    return this.#packs(`k.pack IS NULL AND NOT ${isDoomed} AND l.at < ? ORDER BY p.id`, storedBeforeMs);
  }

  /** The size of a pack that is listed, whose contents are known, and in which nothing is needed; else undefined. */
  deadBytes(packId: string): number | undefined {
    this.#findDead ??= this.#database.prepare(
      `SELECT l.size FROM temp.listing l JOIN packs p ON p.id = l.id AND p.size = l.size
       WHERE l.id = ? AND NOT EXISTS (SELECT 1 FROM temp.kept k WHERE k.pack = p.number)`,
    );
    const row = this.#coded(() => this.#findDead?.get(Buffer.from(packId, 'hex')));
    return row === undefined ? undefined : Number(row['size']);
  }

  /**
   * Packs, unmarked and undamaged, in which something is needed and at least that share of what they hold is not: those
   * with the greatest share first. And, with `smallBytes`, packs that are smaller than that.
   */
  sparse(share: number, smallBytes: number, storedBeforeMs: number): IterableIterator<PackUse> {
    return this.#packs(
      `k.pack IS NOT NULL AND NOT ${isDoomed} AND l.at < ? AND NOT EXISTS (SELECT 1 FROM damaged d WHERE d.pack = p.number)
       AND (${overheadFree} - k.bytes > ? * ${overheadFree} OR l.size < ?)
       ORDER BY CAST(k.bytes AS REAL) / l.size, p.id`,
      storedBeforeMs,
      share,
      smallBytes,
    );
  }

  /** No pack is about to be removed. */
  leaveNone(): void {
    this.#coded(() => this.#database.exec('DELETE FROM temp.leaving'));
  }

  /** Notes that packs are about to be removed: of these, those in which nothing is needed. */
  leave(packIds: Iterable<string>): void {
    const leave = this.#database.prepare(
      `INSERT OR IGNORE INTO temp.leaving SELECT p.number FROM temp.listing l JOIN packs p ON p.id = l.id AND p.size = l.size
       WHERE l.id = ? AND NOT EXISTS (SELECT 1 FROM temp.kept k WHERE k.pack = p.number)`,
    );
    this.#coded(() => {
      for (const id of packIds) leave.run(Buffer.from(id, 'hex'));
    });
  }

  /**
   * Rows, as of a footer, of the blobs at home in a pack, by offset; and the pack's salt. Of all, or of those of which a pack
   * that leaves has another copy.
   */
  blobsAtHome(
    packId: string,
    which: 'all' | 'leaving' = 'all',
  ): { readonly salt: Uint8Array; readonly rows: Uint8Array[] } {
    const id = Buffer.from(packId, 'hex');
    const salt = this.#one('SELECT salt FROM packs WHERE id = ?', id)['salt'] as Uint8Array;
    const rows = this.#coded(() =>
      this.#database
        .prepare(
          `SELECT b.id, b.type, b.codec, b.offset, b.raw, b.stored FROM packs p JOIN blobs b ON b.pack = p.number
           JOIN temp.home h ON h.id = b.id AND h.pack = p.number WHERE p.id = ?
           ${which === 'all' ? '' : hasLeavingCopy} ORDER BY b.offset`,
        )
        .all(id),
    );
    return { salt, rows: rows.map(rowOf) };
  }

  /** Packs that are the home of needed blobs of which a pack that leaves has another copy: before that goes, these must be good. */
  homesOfLeaving(): string[] {
    const rows = this.#coded(() =>
      this.#database
        .prepare(
          `SELECT DISTINCT hp.id FROM temp.leaving v JOIN blobs b ON b.pack = v.pack
           JOIN temp.home h ON h.id = b.id JOIN packs hp ON hp.number = h.pack WHERE h.pack <> v.pack`,
        )
        .all(),
    );
    return rows.map((row) => hex(row['id']));
  }

  *#packs(where: string, ...values: readonly SQLInputValue[]): Generator<PackUse, void, void> {
    const statement = this.#database.prepare(
      `SELECT p.id, l.size, k.blobs, k.bytes, ${overheadFree} AS records FROM temp.listing l JOIN packs p ON p.id = l.id AND p.size = l.size
       LEFT JOIN temp.kept k ON k.pack = p.number WHERE ${where}`,
    );
    for (const row of statement.iterate(...values))
      yield {
        id: hex(row['id']),
        sizeBytes: Number(row['size']),
        liveBlobs: Number(row['blobs'] ?? 0),
        liveBytes: Number(row['bytes'] ?? 0),
        deadBytes: Number(row['records'] ?? 0) - Number(row['bytes'] ?? 0),
      };
  }

  #one(sql: string, ...values: readonly SQLInputValue[]): Record<string, unknown> {
    return this.#coded(() => this.#database.prepare(sql).get(...values)) ?? {};
  }
}

/** What the records of a pack take of it: all but header, footer and trailer. */
const overheadFree = `(SELECT SUM(r.stored + ${recordHeaderBytes}) FROM blobs r WHERE r.pack = p.number)`;

const hasLeavingCopy = `AND EXISTS (
  SELECT 1 FROM blobs o JOIN temp.leaving v ON v.pack = o.pack WHERE o.id = b.id AND o.pack <> b.pack)`;

function border(slice: number): Uint8Array {
  // Behind every id there is.
  if (slice === slices) return new Uint8Array(33).fill(0xff);
  return Uint8Array.of((slice * 256) / slices);
}

function rowOf(row: Readonly<Record<string, unknown>>): Uint8Array {
  const bytes = Buffer.alloc(footerEntryBytes);
  writeEntry(bytes, 0, {
    id: row['id'] as Uint8Array,
    type: Number(row['type']) as BlobType,
    codec: Number(row['codec']),
    offset: Number(row['offset']),
    rawLength: Number(row['raw']),
    storedLength: Number(row['stored']),
  });
  return bytes;
}

function hex(value: unknown): string {
  return Buffer.from(value as Uint8Array).toString('hex');
}
