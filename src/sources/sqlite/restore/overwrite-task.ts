import { closeSync, fstatSync, lstatSync, openSync } from 'node:fs';
import { backup, type DatabaseSync } from 'node:sqlite';
import { setTimeout as delay } from 'node:timers/promises';
import { pathToFileURL } from 'node:url';
import { reasonOf } from '../../../kernel/errors/failure.ts';
import { siblingModule } from '../../../kernel/module-url.ts';
import type { TaskContext, TaskModule } from '../../../pipeline/task.ts';
import { codes, openReadOnly, openReadWrite, sqliteCode } from '../connection.ts';
import { copiesDiffer } from './copies-differ.ts';
import { headerBytes, readHeader } from '../header.ts';
import { firstBytes } from '../look.ts';
import { anotherFile, inUse, isSameFile } from './way.ts';
import { copyOpen, removeCopy } from './kept-copy.ts';

export interface OverwriteInput {
  /** The database to overwrite, which nobody in this process has open. */
  readonly file: string;
  /** The database with what is to be in it. */
  readonly from: string;
  /** Where what was in it before is to be, with its log; nothing is there yet. */
  readonly kept: string;
  /** How long to wait for others' locks. */
  readonly waitMs: number;
}

export type Overwritten =
  | { readonly result: 'done' }
  /** Somebody had a lock all the time. Nothing was changed. */
  | { readonly result: 'busy' }
  /** SQLite does not take it for a database. Nothing was changed. */
  | { readonly result: 'unusable'; readonly reason: string }
  /** `code`: a primary result code. `isChanged`: the old database may be overwritten; its copy is there. */
  | {
      readonly result: 'failed';
      readonly code: number;
      readonly reason: string;
      readonly isChanged: boolean;
    };

export const overwriteModule: TaskModule<OverwriteInput, Overwritten> = {
  url: siblingModule(import.meta.url, './overwrite-task.ts'),
  exportName: 'overwriteDatabase',
};

/** Little enough for SQLite to hold in memory: what it overwrites is untouched until it has been copied. */
const stepBytes = 512 * 1024;
const pauseMs = 20;

/**
 * Overwrites a database in one transaction of SQLite's own (https://www.sqlite.org/backup.html): whoever has it open, in
 * whatever process, container or mode, sees the old one or the new one, and so does whoever opens it after a crash. While
 * the transaction holds its lock, and before it has written anything, the old one is copied.
 */
export async function overwriteDatabase(
  input: OverwriteInput,
  { signal }: Pick<TaskContext, 'signal'>,
): Promise<Overwritten> {
  // Closed last: closing it lets go of every lock that this process has on the file.
  const old = openSync(input.file, 'r');
  try {
    makeRoom(input.from);
    using source = openReadOnly(input.from, { immutable: true });
    return await overwrite(source, old, input, signal);
  } catch (error) {
    const code = sqliteCode(error);
    if (code !== codes.notADatabase && code !== codes.corrupt) throw error;
    return { result: 'unusable', reason: reasonOf(error) };
  } finally {
    closeSync(old);
  }
}

async function overwrite(
  source: DatabaseSync,
  old: number,
  input: OverwriteInput,
  signal: AbortSignal,
): Promise<Overwritten> {
  const deadlineMs = performance.now() + input.waitMs;
  let hadWal = false;
  let isDone = false;
  try {
    for (;;) {
      signal.throwIfAborted();
      const answer = await transact(source, old, input, signal);
      isDone = answer === 'done';
      if (isDone) return { result: 'done' };
      if (typeof answer === 'object') return answer;
      if (answer === 'readonly' && !hasOtherPages(source, input.file))
        return {
          result: 'failed',
          code: codes.readonly,
          reason: 'SQLite may not write it',
          isChanged: false,
        };
      // Out of WAL mode a database comes only when nobody else has it open.
      if (answer === 'readonly' && settle(input.file, 'delete')) hadWal = true;
      if (performance.now() >= deadlineMs) return { result: 'busy' };
      await delay(pauseMs);
    }
  } finally {
    if (hadWal) tryToSettle(isDone ? input.kept : input.file, 'wal');
    if (isDone) tryToSettle(input.file, journalOf(input.from));
  }
}

type Answer = 'done' | 'busy' | 'readonly' | Extract<Overwritten, { result: 'failed' }>;

async function transact(
  source: DatabaseSync,
  old: number,
  { file, kept }: OverwriteInput,
  signal: AbortSignal,
): Promise<Answer> {
  const { pages, pageBytes } = sizeOf(source);
  // The first step takes the lock; there is always a second one, before which the old database is copied.
  const rate = Math.max(1, Math.min(pages - 1, Math.floor(stepBytes / pageBytes)));
  let isCopied = false;
  let failed: { readonly error: unknown } | undefined;
  const progress = (): void => {
    try {
      signal.throwIfAborted();
      if (!isCopied) {
        refuseOther(old, file);
        copyOpen(old, file, kept);
      }
      isCopied = true;
    } catch (error) {
      failed = { error };
      throw error;
    }
  };
  try {
    await backup(source, `${pathToFileURL(file).href}?mode=rw`, { rate, progress });
    if (!isCopied) throw new Error('a database was overwritten that had not been copied');
    return 'done';
  } catch (error) {
    const answer = failed === undefined ? answerTo(error) : null;
    if (isCopied && answer !== null) {
      // Behind the copy nobody else has a lock: whatever is said, the disk may be the reason.
      const isKnown = typeof answer === 'object';
      const unknown = {
        result: 'failed',
        code: codes.ioError,
        reason: reasonOf(error),
        isChanged: false,
      } as const;
      const judged = settled(isKnown ? answer : unknown, file, kept);
      return isKnown || judged.isChanged ? judged : answer;
    }
    if (isCopied) removeCopy(kept);
    if (failed !== undefined) throw failed.error;
    return answer ?? 'busy';
  }
}

/** What is locked was opened by its name, and what is copied is the file that had this name before. */
function refuseOther(old: number, file: string): void {
  const [is, was] = [lstatSync(file, { bigint: true }), fstatSync(old, { bigint: true })];
  if (!isSameFile(is, was)) throw inUse(file, anotherFile);
}

/** A disk may fail after the transaction has taken effect: then the copy is all there is of the old one. */
function settled(
  answer: Extract<Overwritten, { result: 'failed' }>,
  file: string,
  kept: string,
): Extract<Overwritten, { result: 'failed' }> {
  try {
    // Whatever is to be finished or taken back of the transaction is so when somebody opens the database.
    openAndClose(file);
    if (copiesDiffer(kept, file)) return { ...answer, isChanged: true };
  } catch {
    return { ...answer, isChanged: true };
  }
  removeCopy(kept);
  return answer;
}

function openAndClose(file: string): void {
  const database = openReadWrite(file);
  try {
    database.prepare('SELECT count(*) FROM sqlite_schema').get();
  } finally {
    database.close();
  }
}

function answerTo(error: unknown): Answer {
  const code = sqliteCode(error);
  // A lock that others have is no error to the function that copies: it ends early, and says so with a code of none.
  if (code === codes.busy || code === codes.locked || code === codes.none) return 'busy';
  if (code === codes.readonly) return 'readonly';
  if (code === undefined || code === codes.notADatabase || code === codes.corrupt) throw error;
  return { result: 'failed', code, reason: reasonOf(error), isChanged: false };
}

/** In WAL mode the size of pages cannot be changed: SQLite says that it may only read. */
function hasOtherPages(source: DatabaseSync, file: string): boolean {
  const header = readHeader(firstBytes(file, headerBytes));
  return header?.journal === 'wal' && header.pageBytes !== sizeOf(source).pageBytes;
}

function sizeOf(database: DatabaseSync): { readonly pages: number; readonly pageBytes: number } {
  const pages = Number(database.prepare('PRAGMA page_count').get()?.['page_count']);
  const pageBytes = Number(database.prepare('PRAGMA page_size').get()?.['page_size']);
  return { pages, pageBytes };
}

function journalOf(file: string): 'wal' | 'delete' {
  return readHeader(firstBytes(file, headerBytes))?.journal === 'wal' ? 'wal' : 'delete';
}

/** A database of a single page would be overwritten in one step. It is given another one, which is free. */
function makeRoom(file: string): void {
  const database = openReadWrite(file);
  try {
    if (sizeOf(database).pages < 2) database.exec('CREATE TABLE holdfast_room (x); DROP TABLE holdfast_room');
  } finally {
    // Brings its log into it, if there is one.
    database.close();
  }
}

/** Sets the journal mode and brings a log into the database. False when others have it open: it stays as it is. */
function settle(file: string, mode: 'wal' | 'delete'): boolean {
  const database = openReadWrite(file);
  try {
    const now = database.prepare(`PRAGMA journal_mode = ${mode}`).get()?.['journal_mode'];
    if (now === 'wal') database.exec('PRAGMA wal_checkpoint(TRUNCATE)');
    return now === mode;
  } catch (error) {
    if (sqliteCode(error) === codes.busy) return false;
    throw error;
  } finally {
    database.close();
  }
}

/** What can be done later, too, and by anybody: all that matters is in the database or its log already. */
function tryToSettle(file: string, mode: 'wal' | 'delete'): void {
  try {
    settle(file, mode);
  } catch (error) {
    if (sqliteCode(error) === undefined) throw error;
  }
}
