import { rmSync, statfsSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { failure, type HoldfastError } from '../../../kernel/errors/failure.ts';
import { siblingModule } from '../../../kernel/module-url.ts';
import type { TaskContext, TaskModule } from '../../../pipeline/task.ts';
import {
  beginReading,
  codes,
  needsRollback,
  openReadOnly,
  openReadWrite,
  sqliteCode,
  type Patience,
} from '../connection.ts';
import type { Header } from '../header.ts';
import { isOpenHere } from '../holder.ts';
import { identityOf, sameIdentity } from '../identity.ts';
import { firstBytes, look, type Look } from '../look.ts';
import type { DatabaseMeta, Identity } from '../metadata.ts';
import { readFailure } from '../sqlite-errors.ts';
import { copySnapshot } from './snapshot.ts';
import { copyStill, isSettled } from '../still-copy.ts';

export interface TakeInput {
  readonly file: string;
  /** Where a copy may be made: a file in a directory that nobody else can look into. */
  readonly copy: string;
  readonly lockWaitMs: number;
  /** The file itself may be read, if it does not change. */
  readonly still: boolean;
  /** What is in the log beside it is not to be used. */
  readonly withoutWal: boolean;
  /** Milliseconds since 1970. */
  readonly nowMs: number;
}

export interface Taken {
  readonly way: DatabaseMeta['way'];
  /** The file to read, consistent as it is; null for an empty database. The copy, or the database itself. */
  readonly read: string | null;
  /** As the files were before. When `read` is the database itself, they must still be so afterwards. */
  readonly identity: Identity;
  /** A log that no process had open was used. */
  readonly usedLeftWal: boolean;
  readonly warnings: readonly { readonly code: string; readonly message: string }[];
}

export const takeModule: TaskModule<TakeInput, Taken> = {
  url: siblingModule(import.meta.url, './take-task.ts'),
  exportName: 'takeDatabase',
};

/** SQLite spares a page or two; a file system more. */
const spareBytes = 1024 * 1024;
const pauseMs = 50;
/** What is said of a log that the database is only whole without. */
const spoils = 'with it, the database is damaged';

/**
 * Sees to it that there is a file with one consistent state of a database: the database itself if it lies still, or a
 * copy. The files of the user are only read; nothing is left beside them.
 */
export async function takeDatabase(input: TakeInput, context: Pick<TaskContext, 'signal'>): Promise<Taken> {
  const startedMs = performance.now();
  const take = new Take(input, {
    signal: context.signal,
    deadlineMs: startedMs + input.lockWaitMs,
    nowMs: () => input.nowMs + performance.now() - startedMs,
  });
  try {
    return await take.run();
  } catch (error) {
    throw readFailure(input.file, error, input.lockWaitMs);
  }
}

class Take {
  readonly #input: TakeInput;
  readonly #patience: Patience & { readonly nowMs: () => number };
  #mayStayStill: boolean;

  constructor(input: TakeInput, patience: Patience & { readonly nowMs: () => number }) {
    this.#input = input;
    this.#patience = patience;
    this.#mayStayStill = input.still;
  }

  async run(): Promise<Taken> {
    // At least as long as it takes for the times of the file to tell of changes.
    const { deadlineMs, signal } = this.#patience;
    const stillDeadlineMs = Math.max(deadlineMs, performance.now() + 5000);
    for (;;) {
      signal.throwIfAborted();
      if (isOpenHere(this.#input.file)) return await this.#throughSqlite();
      const taken = await this.#once(look(this.#input.file));
      if (taken !== null) return taken;
      if (performance.now() >= stillDeadlineMs) throw failure('sqlite_changing', { file: this.#input.file });
      await delay(pauseMs, undefined, { signal });
    }
  }

  /** Null: something changed meanwhile, so look again. */
  async #once(seen: Look): Promise<Taken | null> {
    if (seen.isEmpty) return this.#empty(seen);
    if (seen.header === null || seen.hasJournal) return await this.#snapshotOrRollback(seen);
    if (seen.foreignWal !== null) return await this.#copyAlone(seen, seen.foreignWal);
    if (this.#input.withoutWal && seen.hasWal) return await this.#copyAlone(seen, spoils);
    if (seen.header.journal === 'rollback') {
      return (await this.#still(seen, seen.header)) ?? (await this.#snapshotOrRollback(seen));
    }
    if (seen.hasWalFiles) return await this.#snapshotOrWal(seen, seen.header);
    if (seen.hasWal) return await this.#recoverWal(seen);
    return (await this.#still(seen, seen.header)) ?? (await this.#copyWhole());
  }

  /** Without opening the file otherwise. */
  async #throughSqlite(): Promise<Taken> {
    const identity = identityOf(this.#input.file);
    if (identity.main.size === 0) return this.#taken('empty', { identity, read: null });
    return await this.#snapshot({ identity }, headerThroughSqlite(this.#input.file));
  }

  #empty({ identity }: Look): Taken {
    return this.#taken('empty', { identity, read: null });
  }

  /** The file itself, when nothing has changed it just now and nobody is about to. */
  async #still({ identity }: Look, header: Header): Promise<Taken | null> {
    if (!this.#mayStayStill || !isSettled(identity, this.#patience.nowMs())) return null;
    this.#mayStayStill = false;
    if (header.journal === 'rollback') {
      // A writer without a journal on disk (journal_mode=MEMORY) may be half through: then this waits or fails.
      const database = openReadOnly(this.#input.file);
      try {
        await beginReading(database, this.#patience);
      } finally {
        database.close();
      }
      if (!sameIdentity(identity, identityOf(this.#input.file))) return null;
    }
    return this.#taken('still', { identity, read: this.#input.file });
  }

  async #snapshotOrRollback(seen: Look): Promise<Taken | null> {
    try {
      const header = seen.header ?? { journal: 'rollback' as const, pageBytes: 4096 };
      return await this.#snapshot(seen, header);
    } catch (error) {
      if (!needsRollback(error)) throw error;
    }
    const identity = await this.#copy(['-journal']);
    if (identity === null) return null;
    this.#settle((database) => database.prepare('PRAGMA user_version').get());
    const warning = failure('sqlite_left_journal', { journal: `${this.#input.file}-journal` });
    return this.#taken('recovered', { identity, warnings: [warning] });
  }

  async #snapshotOrWal(seen: Look, header: Header): Promise<Taken | null> {
    try {
      return await this.#snapshot(seen, header);
    } catch (error) {
      // Where we may not write the files beside it and nobody has them open, SQLite cannot read them.
      const code = sqliteCode(error);
      if (code !== codes.cantOpen && code !== codes.readonly) throw error;
    }
    return seen.hasWal ? await this.#recoverWal(seen) : await this.#copyWhole();
  }

  async #snapshot(
    { identity }: Pick<Look, 'identity'>,
    header: Pick<Header, 'journal' | 'pageBytes'>,
  ): Promise<Taken> {
    this.#checkRoom(identity);
    this.#clear();
    await copySnapshot(this.#input.file, header, this.#input.copy, this.#patience);
    return this.#taken('snapshot', { identity });
  }

  /** A log that a crash has left: its transactions belong to the database. */
  async #recoverWal(seen: Look): Promise<Taken | null> {
    const identity = await this.#copy(['-wal']);
    if (identity === null) return null;
    try {
      this.#settle((database) => database.prepare('PRAGMA wal_checkpoint(TRUNCATE)').get());
    } catch (error) {
      const code = sqliteCode(error);
      if (code !== codes.corrupt && code !== codes.notADatabase) throw error;
      return await this.#copyAlone(seen, spoils);
    }
    return this.#taken('recovered', { identity, usedLeftWal: true });
  }

  async #copyWhole(): Promise<Taken | null> {
    const identity = await this.#copy([]);
    return identity === null ? null : this.#taken('still', { identity, read: this.#input.copy });
  }

  async #copyAlone(seen: Look, reason: string): Promise<Taken | null> {
    const identity = await this.#copy([]);
    if (identity === null || !sameIdentity(seen.identity, identity)) return null;
    const warning = failure('sqlite_foreign_wal', { wal: `${this.#input.file}-wal`, reason });
    return this.#taken('still', { identity, read: this.#input.copy, warnings: [warning] });
  }

  async #copy(beside: readonly ('-wal' | '-journal')[]): Promise<Identity | null> {
    this.#checkRoom(identityOf(this.#input.file));
    this.#clear();
    return await copyStill(this.#input.file, this.#input.copy, beside, this.#patience);
  }

  /** Has SQLite finish in the copy what is to be finished, so that it is whole by itself. */
  #settle(work: (database: ReturnType<typeof openReadWrite>) => unknown): void {
    const database = openReadWrite(this.#input.copy);
    try {
      database.exec('PRAGMA synchronous = OFF');
      work(database);
    } finally {
      database.close();
    }
  }

  #clear(): void {
    for (const ending of ['', '-wal', '-shm', '-journal'])
      rmSync(`${this.#input.copy}${ending}`, { force: true });
  }

  #checkRoom({ main, wal }: Identity): void {
    const directory = this.#input.copy.slice(0, this.#input.copy.lastIndexOf('/'));
    const { bavail, bsize } = statfsSync(directory, { bigint: true });
    const free = Number(bavail * bsize);
    const needed = main.size + (wal?.size ?? 0) + spareBytes;
    if (free >= needed) return;
    const { file } = this.#input;
    throw failure('sqlite_no_room', { file, directory, needed: mebibytes(needed), free: mebibytes(free) });
  }

  #taken(
    way: Taken['way'],
    given: {
      readonly identity: Identity;
      readonly read?: string | null;
      readonly usedLeftWal?: boolean;
      readonly warnings?: readonly HoldfastError[];
    },
  ): Taken {
    const read = given.read === undefined ? this.#input.copy : given.read;
    // A rolled-back first transaction leaves an empty file.
    const isEmpty = read !== null && firstBytes(read, 1).length === 0;
    return {
      way: isEmpty ? 'empty' : way,
      read: isEmpty ? null : read,
      identity: given.identity,
      usedLeftWal: given.usedLeftWal ?? false,
      warnings: (given.warnings ?? []).map(({ code, message }) => ({ code, message })),
    };
  }
}

/** By a connection that has not begun to read, which waits for nobody. */
function headerThroughSqlite(file: string): Pick<Header, 'journal' | 'pageBytes'> {
  const database = openReadOnly(file);
  try {
    const pageBytes = Number(database.prepare('PRAGMA page_size').get()?.['page_size'] ?? 4096);
    const mode = database.prepare('PRAGMA journal_mode').get()?.['journal_mode'];
    return { pageBytes, journal: mode === 'wal' ? 'wal' : 'rollback' };
  } finally {
    database.close();
  }
}

function mebibytes(bytes: number): string {
  return `${Math.ceil(bytes / 1024 / 1024)} MiB`;
}
