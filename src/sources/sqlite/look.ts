import { closeSync, existsSync, openSync, readSync } from 'node:fs';
import { failure } from '../../kernel/errors/failure.ts';
import {
  headerBytes,
  journalIsLive,
  looksEncrypted,
  readHeader,
  walPageBytes,
  type Header,
} from './header.ts';
import { identityOf } from './identity.ts';
import type { Identity } from './metadata.ts';

/** What a database and the files beside it look like from outside. Nothing is opened with SQLite for it. */
export interface Look {
  readonly identity: Identity;
  /** Null for an empty file, and where a journal must be rolled back before there is one. */
  readonly header: Header | null;
  readonly isEmpty: boolean;
  /** A journal that is to be rolled back, if nobody is writing it just now. */
  readonly hasJournal: boolean;
  /** Transactions that are not in the database file yet. */
  readonly hasWal: boolean;
  /** Why the log beside it cannot be its own. */
  readonly foreignWal: string | null;
  /** The files that SQLite needs beside a database in WAL mode are there: reading makes none. */
  readonly hasWalFiles: boolean;
}

const nothing = new Uint8Array(0);

/** Enough to tell random bytes from others. */
const sampleBytes = 16 * 1024;

/**
 * Looks at a database. Throws `sqlite_not_a_database`, `sqlite_encrypted` or `sqlite_damaged`, and what the system says.
 *
 * No connection of this process may have the file open meanwhile: closing a file lets go of every POSIX lock the process
 * has on it, SQLite's too.
 */
export function look(file: string): Look {
  const identity = identityOf(file);
  const start = firstBytes(file, sampleBytes);
  const journal = identity.journal === null ? nothing : besideBytes(`${file}-journal`, 8);
  const log = identity.wal === null ? nothing : besideBytes(`${file}-wal`, 32);
  const hasJournal = journalIsLive(journal);
  const header = readHeader(start);
  if (header === null && start.length > 0 && !hasJournal) throw noDatabase(file, start);
  const logPageBytes = walPageBytes(log);
  const foreignWal = logPageBytes === null || header === null ? null : foreign(header, logPageBytes);
  return {
    identity,
    header,
    isEmpty: start.length === 0,
    hasJournal,
    hasWal: logPageBytes !== null && foreignWal === null,
    foreignWal,
    hasWalFiles: identity.wal !== null && existsSync(`${file}-shm`),
  };
}

function foreign(header: Header, logPageBytes: number): string | null {
  // SQLite would use it all the same, and serve the pages of another database.
  if (header.journal === 'rollback') return 'the database is not in WAL mode';
  const { pageBytes } = header;
  return logPageBytes === pageBytes
    ? null
    : `its pages have ${logPageBytes} bytes, those of the database ${pageBytes}`;
}

/** Nothing when it is gone by now: what lies beside a database in use comes and goes. */
function besideBytes(file: string, count: number): Uint8Array {
  try {
    return firstBytes(file, count);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return nothing;
    throw error;
  }
}

export function firstBytes(file: string, count: number): Uint8Array {
  const handle = openSync(file, 'r');
  try {
    const bytes = Buffer.alloc(count);
    let at = 0;
    for (let got = 1; got > 0 && at < count; at += got) got = readSync(handle, bytes, at, count - at, at);
    return bytes.subarray(0, at);
  } finally {
    closeSync(handle);
  }
}

function noDatabase(file: string, start: Uint8Array): Error {
  if (startsLikeOne(start)) {
    const reason = start.length < headerBytes ? `it has only ${start.length} bytes` : 'its header is damaged';
    return failure('sqlite_damaged', { file, reason });
  }
  if (looksEncrypted(start)) return failure('sqlite_encrypted', { file });
  return failure('sqlite_not_a_database', { file, reason: 'it begins with something else' });
}

function startsLikeOne(start: Uint8Array): boolean {
  return Buffer.from(start.subarray(0, 13)).toString('latin1') === 'SQLite format';
}
