import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync, type StatementSync } from 'node:sqlite';
import { failure, reasonOf } from '../kernel/errors/failure.ts';
import type { RepositoryId } from '../kernel/ids.ts';
import { blobIdBytes, type BlobLocation, type BlobType } from '../pipeline/blob.ts';
import { footerEntryBytes, writeEntry } from '../pipeline/pack-format.ts';
import { ClaimedIds } from './claimed-ids.ts';
import { LiveSet } from './gc/live-set.ts';
import { blobsOf, type IndexedPack } from './index-object.ts';
import { createTables, prepare } from './index-tables.ts';

/** A blob and the pack it lies in. */
export interface Located extends BlobLocation {
  readonly packId: string;
  readonly packSalt: Uint8Array;
  readonly packSizeBytes: number;
  /** False when the last listing did not show the pack, or with another size. */
  readonly present: boolean;
  /** True when this copy was once read and found damaged, on this machine. */
  readonly damaged: boolean;
}

/** An agent knows what it has stored itself; whoever can read, all that is told. */
export type CacheOwner = 'reader' | 'agent';

const fileOf: Readonly<Record<CacheOwner, string>> = { reader: 'index.sqlite', agent: 'agent.sqlite' };

const sqliteCorrupt = 11;
const sqliteNotADatabase = 26;

/**
 * The repository's index on local disk, so that memory stays small however many chunks there are.
 * It holds nothing that the repository does not: deleting it costs the time to make it again.
 *
 * Processes share it, and so do copies of a repository, which have the same id. What packs hold is the same for all of
 * them; which packs are there is not, so each connection has a listing of its own and goes by that alone.
 */
export class IndexCache implements Disposable {
  readonly #path: string;
  readonly #database: DatabaseSync;
  readonly #statements: ReturnType<typeof prepare>;
  #claimed: ClaimedIds;
  /** Blobs that follow each other mostly lie in one pack. */
  #lastDepended: number | undefined;

  private constructor(path: string, database: DatabaseSync, whose: CacheOwner) {
    this.#path = path;
    this.#database = database;
    this.#statements = prepare(database, whose === 'agent');
    this.#claimed = new ClaimedIds(this.#statements.claim, this.#statements.isClaimed);
  }

  /** Whether an error says that the file of a cache is damaged, so that it must be made anew. */
  static isDamage(error: unknown): boolean {
    const cause = error instanceof Error && !isSqlite(error) ? error.cause : error;
    return isSqlite(cause) && [sqliteCorrupt, sqliteNotADatabase].includes(cause.errcode & 0xff);
  }

  /** Removes the cache of a repository. */
  static remove(directory: string, repository: RepositoryId, whose: CacheOwner): void {
    removeFiles(join(directory, repository, fileOf[whose]));
  }

  /** Opens or makes the cache of one repository; a damaged one is made anew. `cache_failed`. */
  static open(directory: string, repository: RepositoryId, whose: CacheOwner): IndexCache {
    const path = join(directory, repository, fileOf[whose]);
    try {
      mkdirSync(join(directory, repository), { recursive: true, mode: 0o700 });
      return IndexCache.#openOrRemake(path, whose);
    } catch (error) {
      throw cacheFailed(path, error);
    }
  }

  static #openOrRemake(path: string, whose: CacheOwner): IndexCache {
    try {
      return IndexCache.#openAt(path, whose);
    } catch (error) {
      if (isBusy(error)) throw error;
      removeFiles(path);
      return IndexCache.#openAt(path, whose);
    }
  }

  static #openAt(path: string, whose: CacheOwner): IndexCache {
    const database = new DatabaseSync(path, { timeout: 60_000 });
    try {
      // 16 MiB of pages; temporary tables (what this session stores) in a file, too.
      database.exec(
        'PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; PRAGMA cache_size = -16384; PRAGMA temp_store = FILE;',
      );
      createTables(database);
      return new IndexCache(path, database, whose);
    } catch (error) {
      database.close();
      throw error;
    }
  }

  /** Runs `change` as one transaction that other processes see whole or not at all. `cache_failed`. */
  transaction<T>(change: () => T): T {
    return this.#inTransaction('BEGIN IMMEDIATE', change);
  }

  #inTransaction<T>(begin: 'BEGIN' | 'BEGIN IMMEDIATE', change: () => T): T {
    return this.#coded(() => {
      this.#database.exec(begin);
      try {
        const result = change();
        this.#database.exec('COMMIT');
        return result;
      } catch (error) {
        // What was noted in it is gone with it.
        this.#lastDepended = undefined;
        // SQLite has rolled back by itself where its disk is full or fails.
        if (this.#database.isTransaction) this.#database.exec('ROLLBACK');
        throw error;
      }
    });
  }

  #coded<T>(work: () => T): T {
    try {
      return work();
    } catch (error) {
      throw isSqlite(error) ? cacheFailed(this.#path, error) : error;
    }
  }

  hasIndex(name: string): boolean {
    return this.#statements.hasIndex.get(name) !== undefined;
  }

  hasPack(id: string): boolean {
    return this.#statements.packNumber.get(Buffer.from(id, 'hex')) !== undefined;
  }

  /** Adds what an index object (or packs read by themselves: null) tells. Call in a transaction. */
  add(indexName: string | null, packs: readonly IndexedPack[]): void {
    const note = indexName === null ? this.#statements.noteUntold : this.#statements.noteTold;
    for (const pack of packs) {
      this.#addPack(pack);
      note.run(Buffer.from(pack.id, 'hex'));
    }
    if (indexName !== null) this.#statements.addIndex.run(indexName);
  }

  /** Begins to note a listing of packs; call {@link listed} for each and {@link endListing} when it ended well. */
  beginListing(): void {
    this.#coded(() => this.#database.exec('DELETE FROM temp.arriving'));
  }

  /** `storedAtMs` by the storage's clock. */
  listed(id: string, sizeBytes: number, storedAtMs: number): void {
    this.#coded(() => this.#statements.listed.run(Buffer.from(id, 'hex'), sizeBytes, Math.floor(storedAtMs)));
  }

  /** The size of a pack in the last listing; undefined when it was not in it. */
  listedBytes(id: string): number | undefined {
    const row = this.#coded(() => this.#statements.listedSize.get(Buffer.from(id, 'hex')));
    return row === undefined ? undefined : Number(row['size']);
  }

  /** Takes the listing as the truth about which packs are there; until then the one before counts. */
  endListing(): void {
    this.#inTransaction('BEGIN', () =>
      this.#database.exec(
        'DELETE FROM temp.listing; INSERT INTO temp.listing SELECT * FROM temp.arriving; DELETE FROM temp.arriving',
      ),
    );
  }

  /** Notes that this session has just stored that pack. */
  stored(id: string, sizeBytes: number): void {
    this.#coded(() => {
      // Its time is only known from a listing: until then it is as young as can be.
      this.#statements.stored.run(Buffer.from(id, 'hex'), sizeBytes, Number.MAX_SAFE_INTEGER);
      this.#statements.own.run(Buffer.from(id, 'hex'), sizeBytes);
    });
  }

  /** Packs in the listing that no index has told of. */
  unindexed(): { id: string; sizeBytes: number }[] {
    return this.#statements.unindexed
      .all()
      .map((row) => ({ id: hex(row['id']), sizeBytes: Number(row['size']) }));
  }

  /** Where a blob is; of several copies one that is present, and not known to be damaged. */
  locate(id: Uint8Array): Located | undefined {
    const row = this.#coded(() => this.#statements.locate.get(id));
    if (row === undefined) return undefined;
    return {
      id: Uint8Array.from(id),
      type: Number(row['type']) as BlobType,
      codec: Number(row['codec']),
      offset: Number(row['offset']),
      rawLength: Number(row['raw']),
      storedLength: Number(row['stored']),
      packId: hex(row['pack_id']),
      packSalt: row['salt'] as Uint8Array,
      packSizeBytes: Number(row['size']),
      present: Number(row['present']) === 1,
      damaged: Number(row['damaged']) === 1,
    };
  }

  /** Notes that this copy of a blob cannot be opened: no backup shall rely on it any more. True when that was not known. */
  markDamaged(id: Uint8Array, packId: string): boolean {
    return this.#coded(() => this.#statements.markDamaged.run(id, Buffer.from(packId, 'hex')).changes === 1);
  }

  /** Takes that back for every blob of a pack, which was read whole and is good. */
  clearDamage(packId: string): void {
    this.#coded(() => this.#statements.clearDamage.run(Buffer.from(packId, 'hex')));
  }

  /**
   * Takes what a whole pack tells of itself for the truth about it: what was known may be of a damaged one. A session that
   * relies on the pack still does.
   */
  replacePack(pack: IndexedPack): void {
    const id = Buffer.from(pack.id, 'hex');
    this.transaction(() => {
      const row = this.#statements.packNumber.get(id);
      if (row === undefined) return this.#addPack(pack);
      const number = Number(row['number']);
      const { salt, sizeBytes } = pack;
      this.#database.prepare('DELETE FROM blobs WHERE pack = ?').run(number);
      this.#database.prepare('DELETE FROM damaged WHERE pack = ?').run(number);
      this.#database
        .prepare('UPDATE packs SET salt = ?, size = ? WHERE number = ?')
        .run(salt, sizeBytes, number);
      return this.#addBlobs(number, pack);
    });
  }

  /**
   * For each id: 0 when a present pack has it that may be relied on, or this session has claimed it before, else 1, and it is claimed now.
   * The packs that ids were found in are noted for {@link missingDependencies}.
   */
  claim(ids: Uint8Array): Uint8Array<ArrayBuffer> {
    const wanted = new Uint8Array(ids.length / blobIdBytes);
    // One read transaction for all of them; only temporary tables, which are this connection's own, are written.
    this.#inTransaction('BEGIN', () => {
      for (let index = 0; index < wanted.length; index += 1) {
        const id = ids.subarray(index * blobIdBytes, (index + 1) * blobIdBytes);
        const found = this.#statements.presentPack.get(id);
        if (found === undefined) wanted[index] = this.#claimed.add(id) ? 1 : 0;
        else this.#depend(Number(found['pack']));
      }
    });
    return wanted;
  }

  /** For each id 1 when a present pack has a copy that is not known to be damaged. The session relies on those. */
  present(ids: Uint8Array): Uint8Array<ArrayBuffer> {
    return this.#find(this.#statements.presentPack, ids);
  }

  /**
   * As {@link present}, marked packs too where there is no other; 2 where only a pack is found that an agent sealed, which may
   * say what is not so.
   */
  rely(ids: Uint8Array): Uint8Array<ArrayBuffer> {
    return this.#find(this.#statements.anyPack, ids);
  }

  #find(statement: StatementSync, ids: Uint8Array): Uint8Array<ArrayBuffer> {
    const answers = new Uint8Array(ids.length / blobIdBytes);
    this.#inTransaction('BEGIN', () => {
      for (let index = 0; index < answers.length; index += 1) {
        const id = ids.subarray(index * blobIdBytes, (index + 1) * blobIdBytes);
        const found = statement.get(id);
        if (found === undefined) continue;
        answers[index] = found['of_agent'] === 1 ? 2 : 1;
        this.#depend(Number(found['pack']));
      }
    });
    return answers;
  }

  /** The listed packs that say they have a blob, but for copies known to be damaged; first those it is best taken from. */
  copiesOf(id: Uint8Array): { id: string; sizeBytes: number; isOfAgent: boolean }[] {
    return this.#coded(() => this.#statements.copies.all(id)).map((row) => ({
      id: hex(row['id']),
      sizeBytes: Number(row['size']),
      isOfAgent: row['of_agent'] === 1,
    }));
  }

  /** Forgets what earlier sessions of this connection claimed. */
  beginSession(): void {
    this.#coded(() =>
      this.#database.exec(
        'DELETE FROM temp.claimed; DELETE FROM temp.depended; DELETE FROM temp.own; DELETE FROM temp.doomed',
      ),
    );
    this.#claimed = new ClaimedIds(this.#statements.claim, this.#statements.isClaimed);
    this.#lastDepended = undefined;
  }

  /** Notes that garbage collection has marked these packs: new sessions take them for not there. */
  doom(packs: readonly string[], markedAtMs: number, graceMs: number): void {
    this.#inTransaction('BEGIN', () => {
      for (const id of packs)
        this.#statements.doom.run(Buffer.from(id, 'hex'), Math.floor(markedAtMs), graceMs);
    });
    this.#lastDepended = undefined;
  }

  /** Marked packs that this session relies on all the same, or has stored itself. */
  reliedOnDoomed(): { id: string; markedAtMs: number; graceMs: number }[] {
    return this.#coded(() => this.#statements.reliedOnDoomed.all()).map((row) => ({
      id: hex(row['id']),
      markedAtMs: Number(row['marked_at']),
      graceMs: Number(row['grace']),
    }));
  }

  /** Packs this session relies on, found or stored by it, that the last listing did not show. */
  missingDependencies(): { id: string }[] {
    const rows = this.#coded(() => this.#statements.missingDependencies.all());
    return rows.map((row) => ({ id: hex(row['id']) }));
  }

  /** Begins a walk over backups: nothing is visited and no pack is needed yet. */
  beginWalk(): void {
    this.#coded(() => this.#database.exec('DELETE FROM temp.visited; DELETE FROM temp.needed'));
  }

  /** True the first time in this walk. */
  visit(id: Uint8Array): boolean {
    return this.#coded(() => this.#statements.visit.run(id).changes === 1);
  }

  /** Notes that the walk needs this pack. */
  need(packId: string): void {
    this.#coded(() => this.#statements.need.run(Buffer.from(packId, 'hex')));
  }

  /** Hex ids of the packs the walk needs, or of all packs that were listed, in order. */
  *packs(which: 'needed' | 'listed'): Generator<{ id: string; sizeBytes: number }, void, void> {
    const statement = which === 'needed' ? this.#statements.neededPacks : this.#statements.listedPacks;
    for (const row of statement.iterate()) yield { id: hex(row['id']), sizeBytes: Number(row['size']) };
  }

  /** Hex ids of the packs of agents, listed and not marked, that this cache knows from themselves: no index tells of them. */
  untoldOfAgents(): string[] {
    return this.#coded(() => this.#statements.untoldOfAgents.all()).map((row) => hex(row['id']));
  }

  /** The packs that were listed: how many, their bytes, and the bytes of the records that the index knows in them. */
  listedTotals(): { packs: number; packBytes: number; recordBytes: number } {
    const listed = this.#coded(() => this.#statements.listedBytes.get());
    const records = this.#coded(() => this.#statements.recordBytes.get());
    return {
      packs: Number(listed?.['packs']),
      packBytes: Number(listed?.['bytes']),
      recordBytes: Number(records?.['bytes']),
    };
  }

  /** What the index says a pack holds; undefined when it knows nothing of it. */
  packContents(id: string): IndexedPack | undefined {
    const row = this.#coded(() => this.#statements.pack.get(Buffer.from(id, 'hex')));
    if (row === undefined) return undefined;
    const rows = this.#coded(() => this.#statements.packBlobs.all(Number(row['number'])));
    const entries = Buffer.alloc(rows.length * footerEntryBytes);
    rows.forEach((blob, index) =>
      writeEntry(entries, index * footerEntryBytes, {
        id: blob['id'] as Uint8Array,
        type: Number(blob['type']) as BlobType,
        codec: Number(blob['codec']),
        offset: Number(blob['offset']),
        rawLength: Number(blob['raw']),
        storedLength: Number(blob['stored']),
      }),
    );
    return { id, salt: row['salt'] as Uint8Array, sizeBytes: Number(row['size']), entries };
  }

  /** What of all that is listed the backups need: for garbage collection. One at a time. */
  liveSet(): LiveSet {
    return new LiveSet(this.#database, (work) => this.#coded(work));
  }

  [Symbol.dispose](): void {
    this.#database.close();
  }

  #depend(pack: number): void {
    if (pack === this.#lastDepended) return;
    this.#statements.depend.run(pack);
    this.#lastDepended = pack;
  }

  #addPack(pack: IndexedPack): void {
    const id = Buffer.from(pack.id, 'hex');
    if (this.#statements.addPack.run(id, pack.salt, pack.sizeBytes).changes === 0) return;
    this.#addBlobs(Number(this.#statements.packNumber.get(id)?.['number']), pack);
  }

  #addBlobs(number: number, pack: IndexedPack): void {
    for (const blob of blobsOf(pack)) {
      const { type, codec, offset, rawLength, storedLength } = blob;
      this.#statements.addBlob.run(blob.id, number, type, codec, offset, rawLength, storedLength);
    }
  }
}

function hex(value: unknown): string {
  return Buffer.from(value as Uint8Array).toString('hex');
}

function removeFiles(path: string): void {
  for (const suffix of ['', '-wal', '-shm']) rmSync(`${path}${suffix}`, { force: true });
}

function isSqlite(error: unknown): error is Error & { readonly errcode: number } {
  return error instanceof Error && 'errcode' in error;
}

function isBusy(error: unknown): boolean {
  return isSqlite(error) && (error.errcode === 5 || error.errcode === 6);
}

function cacheFailed(path: string, error: unknown): Error {
  return failure('cache_failed', { path, reason: reasonOf(error) }, { cause: error });
}
