import { DatabaseSync, type StatementSync } from 'node:sqlite';
import type { StreamRef } from '../contract/stream.ts';
import { failure, reasonOf } from '../kernel/errors/failure.ts';

/** The trouble of a {@link UsageTable} as `usage_failed`; any other error as it is. */
export function usageFailure(error: unknown): unknown {
  if (!(error instanceof Error) || !('errcode' in error)) return error;
  return failure('usage_failed', { reason: reasonOf(error) }, { cause: error });
}

/** What the index says of a blob. */
export interface BlobFacts {
  /** Whether it is a piece of data; else a map node, or a piece of a list of entries. */
  readonly isData: boolean;
  /** Plain bytes. */
  readonly rawBytes: number;
  /** Bytes in its pack, with the header of its record. */
  readonly storedBytes: number;
}

/** Sums over distinct blobs. */
export interface UsageTotals {
  /** Plain bytes of data. */
  readonly uniqueBytes: number;
  /** Stored bytes of those. */
  readonly uniqueStoredBytes: number;
  /** Stored bytes of data, map nodes and lists. */
  readonly storedBytes: number;
  /** Blobs that are in no pack, and map nodes that cannot be read. */
  readonly missing: number;
}

/**
 * Which backups need which blobs, in a temporary database on disk that goes with this object.
 *
 * Backups come source by source, each one's oldest first, and only what differs from the backup before is looked at:
 * every blob counts how many nodes and streams of the current backup name it. New streams are held, streams that went
 * are released; where a count was and stays above zero, everything below is as it was. So the time goes with what
 * changed, not with the number of backups times their size.
 */
export class UsageTable implements Disposable {
  readonly #database: DatabaseSync;
  readonly #statements: ReturnType<typeof prepare>;
  readonly #factsOf: (id: Uint8Array) => BlobFacts | undefined;
  #backup = -1;
  #source = -1;
  #current: Sums = noSums();
  #ofSource: Sums = noSums();

  /** `factsOf` answers undefined for a blob that is in no pack. */
  constructor(factsOf: (id: Uint8Array) => BlobFacts | undefined) {
    this.#factsOf = factsOf;
    // Without a name: SQLite makes a file of its own as soon as the cache of 64 MiB is full, and removes it.
    this.#database = new DatabaseSync('');
    this.#database.exec(`
      PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA cache_size = -65536; PRAGMA temp_store = FILE;
      CREATE TABLE blobs (
        id BLOB PRIMARY KEY, raw INTEGER NOT NULL, stored INTEGER NOT NULL, data INTEGER NOT NULL, lost INTEGER NOT NULL,
        refs INTEGER NOT NULL, entered INTEGER NOT NULL, backups INTEGER NOT NULL, first INTEGER NOT NULL,
        source INTEGER NOT NULL, sources INTEGER NOT NULL) WITHOUT ROWID;
      CREATE TABLE streams (
        root TEXT, depth INTEGER, before INTEGER NOT NULL, now INTEGER NOT NULL, PRIMARY KEY (root, depth)) WITHOUT ROWID;
      BEGIN;
    `);
    this.#statements = prepare(this.#database);
  }

  /** Begins the next source; answers its number, from 0. */
  beginSource(): number {
    this.#statements.endSource.run(this.#backup + 1);
    this.#statements.forgetStreams.run();
    this.#current = noSums();
    this.#ofSource = noSums();
    this.#source += 1;
    return this.#source;
  }

  /** Begins the next backup of the source; answers its number, from 0 over all sources. */
  beginBackup(): number {
    this.#statements.forgetGone.run();
    this.#statements.ageStreams.run();
    this.#backup += 1;
    return this.#backup;
  }

  /** Notes a stream of this backup. Call for all of them before {@link appeared} and {@link gone}. */
  needs({ root, depth }: StreamRef): void {
    if (root !== null) this.#statements.needs.run(root, depth);
  }

  /** Streams that the backup before did not have: all that is in them is to be held. */
  appeared(): Iterable<StreamRef> {
    return streamsOf(this.#statements.appeared);
  }

  /** Streams that only the backup before had: all that is in them is to be released, after the others are held. */
  gone(): Iterable<StreamRef> {
    return streamsOf(this.#statements.gone);
  }

  /** Once more a node or stream names this blob. True when it is a readable blob that nothing of the backup named yet. */
  hold(id: Uint8Array): boolean {
    const row = this.#statements.find.get(id);
    if (row === undefined) return this.#add(id);
    if (Number(row['refs']) > 0) {
      this.#statements.count.run(1, id);
      return false;
    }
    add(this.#current, row, 1);
    if (Number(row['source']) !== this.#source) add(this.#ofSource, row, 1);
    this.#statements.enter.run(this.#backup, this.#source, this.#source, id);
    return Number(row['lost']) === 0;
  }

  /** One less names it. True when it is a readable blob that nothing of the backup names any more. */
  release(id: Uint8Array): boolean {
    const row = this.#statements.find.get(id);
    if (row === undefined) return false;
    if (Number(row['refs']) > 1) {
      this.#statements.count.run(-1, id);
      return false;
    }
    add(this.#current, row, -1);
    this.#statements.leave.run(this.#backup, id);
    return Number(row['lost']) === 0;
  }

  /** Notes that a node which is held cannot be read. */
  lose(id: Uint8Array): void {
    if (this.#statements.lose.run(id).changes === 0) return;
    this.#current.missing += 1;
    this.#ofSource.missing += 1;
  }

  /** What the current backup needs. */
  ofBackup(): UsageTotals {
    return { ...this.#current };
  }

  /** What the backups of the current source needed so far. */
  ofSource(): UsageTotals {
    return { ...this.#ofSource };
  }

  /** Stored bytes that no other backup needs, by the numbers of backups. Ends the last source. */
  *ownOfBackups(): Generator<readonly [number, number], void, void> {
    this.beginSource();
    for (const row of this.#statements.ownOfBackups.iterate())
      yield [Number(row['first']), Number(row['own'])];
  }

  /** Stored bytes that no other source needs, by the numbers of sources. */
  *ownOfSources(): Generator<readonly [number, number], void, void> {
    for (const row of this.#statements.ownOfSources.iterate())
      yield [Number(row['source']), Number(row['own'])];
  }

  /** What any backup needed. */
  overall(): UsageTotals {
    const sums = noSums();
    for (const row of this.#statements.overall.iterate()) add(sums, row, 1);
    return sums;
  }

  [Symbol.dispose](): void {
    this.#database.close();
  }

  #add(id: Uint8Array): boolean {
    const facts = this.#factsOf(id);
    const lost = facts === undefined ? 1 : 0;
    const { isData = false, rawBytes = 0, storedBytes = 0 } = facts ?? {};
    const row = { raw: rawBytes, stored: storedBytes, data: isData ? 1 : 0, lost };
    add(this.#current, row, 1);
    add(this.#ofSource, row, 1);
    const { raw, stored, data } = row;
    this.#statements.insert.run(id, raw, stored, data, lost, this.#backup, this.#backup, this.#source);
    return facts !== undefined;
  }
}

type Sums = { -readonly [K in keyof UsageTotals]: number };

function noSums(): Sums {
  return { uniqueBytes: 0, uniqueStoredBytes: 0, storedBytes: 0, missing: 0 };
}

/** `row` may stand for several blobs that are alike in `data`: its sums then, and in `lost` how many are. */
function add(sums: Sums, row: Readonly<Record<string, unknown>>, sign: 1 | -1): void {
  const stored = sign * Number(row['stored']);
  sums.storedBytes += stored;
  sums.missing += sign * Number(row['lost']);
  if (Number(row['data']) === 0) return;
  sums.uniqueBytes += sign * Number(row['raw']);
  sums.uniqueStoredBytes += stored;
}

function* streamsOf(statement: StatementSync): Generator<StreamRef, void, void> {
  for (const row of statement.iterate())
    yield { root: String(row['root']), depth: Number(row['depth']), size_bytes: 0 };
}

function prepare(database: DatabaseSync) {
  return {
    find: database.prepare('SELECT raw, stored, data, lost, refs, source FROM blobs WHERE id = ?'),
    insert: database.prepare(
      `INSERT INTO blobs (id, raw, stored, data, lost, refs, entered, backups, first, source, sources)
       VALUES (?, ?, ?, ?, ?, 1, ?, 0, ?, ?, 1)`,
    ),
    count: database.prepare('UPDATE blobs SET refs = refs + ? WHERE id = ?'),
    enter: database.prepare(
      'UPDATE blobs SET refs = 1, entered = ?, sources = sources + (source <> ?), source = ? WHERE id = ?',
    ),
    leave: database.prepare('UPDATE blobs SET refs = 0, backups = backups + ? - entered WHERE id = ?'),
    lose: database.prepare('UPDATE blobs SET lost = 1 WHERE id = ? AND lost = 0'),
    endSource: database.prepare('UPDATE blobs SET refs = 0, backups = backups + ? - entered WHERE refs > 0'),
    needs: database.prepare(
      'INSERT INTO streams VALUES (?, ?, 0, 1) ON CONFLICT (root, depth) DO UPDATE SET now = 1',
    ),
    appeared: database.prepare('SELECT root, depth FROM streams WHERE now = 1 AND before = 0'),
    gone: database.prepare('SELECT root, depth FROM streams WHERE now = 0'),
    forgetStreams: database.prepare('DELETE FROM streams'),
    forgetGone: database.prepare('DELETE FROM streams WHERE now = 0'),
    ageStreams: database.prepare('UPDATE streams SET before = 1, now = 0'),
    ownOfBackups: database.prepare(
      'SELECT first, SUM(stored) AS own FROM blobs WHERE backups = 1 GROUP BY first',
    ),
    ownOfSources: database.prepare(
      'SELECT source, SUM(stored) AS own FROM blobs WHERE sources = 1 GROUP BY source',
    ),
    overall: database.prepare(
      'SELECT data, SUM(raw) AS raw, SUM(stored) AS stored, SUM(lost) AS lost FROM blobs GROUP BY data',
    ),
  };
}
