import { lstat } from 'node:fs/promises';
import { failure } from '../../kernel/errors/failure.ts';
import { codes, openReadWrite, sqliteCode } from './connection.ts';
import { holderOf, isOpenHere } from './holder.ts';
import { look } from './look.ts';
import { besides } from './restore-plan.ts';

/**
 * Makes sure that nobody uses a database that is to be replaced, and that it is whole by itself: what its log holds is
 * moved into it. Throws `sqlite_in_use`. A file that is no database, or a damaged one, stays as it is.
 */
export async function retire(file: string): Promise<void> {
  const there = await lstat(file).catch(() => null);
  if (there === null) return;
  // Where there is no /proc, or the process is another user's, only those who hold a lock are noticed.
  const holder = holderOf(file);
  if (holder !== null || isOpenHere(file)) throw inUse(file);
  // SQLite would remove what it does not understand beside a file that is no database.
  if (!isDatabase(file)) return;
  try {
    const database = openReadWrite(file);
    try {
      // In WAL mode everybody who has the database open holds a lock that keeps others from having it alone.
      database.exec('PRAGMA locking_mode = EXCLUSIVE');
      database.exec('BEGIN EXCLUSIVE; PRAGMA user_version; COMMIT');
      const mode = database.prepare('PRAGMA journal_mode').get()?.['journal_mode'];
      if (mode === 'wal') {
        const outcome = database.prepare('PRAGMA wal_checkpoint(TRUNCATE)').get();
        if (outcome?.['busy'] !== 0) throw inUse(file);
      }
    } finally {
      database.close();
    }
  } catch (error) {
    const code = sqliteCode(error);
    if (code === undefined) throw error;
    if (code === codes.busy) throw inUse(file);
    // Not a database, damaged, or not ours to write: it is moved aside as it is, with all that lies beside it.
    return;
  }
  // Its log is gone now, unless somebody has opened it just then.
  const log = (await besides(file)).find((name) => name.endsWith('-wal'));
  if (log !== undefined) throw inUse(file);
}

function isDatabase(file: string): boolean {
  try {
    return look(file).header !== null;
  } catch {
    return false;
  }
}

function inUse(file: string): Error {
  const holder = holderOf(file);
  const named = holder ?? (isOpenHere(file) ? 'this process itself' : null);
  return failure('sqlite_in_use', { file, holder: named === null ? '' : ` by ${named}` });
}
