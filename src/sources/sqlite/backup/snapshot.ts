import { rmSync } from 'node:fs';
import { backup, type DatabaseSync } from 'node:sqlite';
import type { Header } from '../header.ts';
import { beginReading, codes, openReadOnly, sqliteCode, type Patience } from '../connection.ts';

/** Copied under one lock, in rollback mode: a tenth of a second or so. */
const stepBytes = 64 * 1024 * 1024;
/** Times that others may make SQLite begin anew before we keep them from committing. */
const restartsAllowed = 3;

class GivenUp extends Error {}

/**
 * Has SQLite copy a database that others may be writing. Waits while it is locked; then throws SQLite's own error.
 *
 * What `backup()` of Node 24 (SQLite 3.53) does, as tried:
 * - Each step reads under a lock of its own, and begins anew when another connection has committed in between: with a
 *   writer that commits every millisecond it never comes to an end, in WAL mode and in rollback mode.
 * - When the connection is reading in a transaction already, the steps stay in that: no restart, one snapshot. In WAL
 *   mode writers go on; in rollback mode they can prepare a transaction but not commit it.
 * - A step that finds the database locked is tried again for ever, `progress` being told the same count; when it is the
 *   first, `backup()` rejects with result code 0, "not an error".
 * - What `progress` throws ends the copy.
 */
export async function copySnapshot(
  file: string,
  header: Pick<Header, 'journal' | 'pageBytes'>,
  to: string,
  patience: Patience,
): Promise<void> {
  const database = openReadOnly(file);
  try {
    await beginReading(database, patience);
    const rate = Math.ceil(stepBytes / header.pageBytes);
    // A database of one step is locked no longer one way than the other.
    if (header.journal === 'rollback' && pagesOf(database) > rate) {
      database.exec('COMMIT');
      if (await copiedInSteps(database, to, rate, patience.signal)) return;
      for (const file of [to, `${to}-journal`]) rmSync(file, { force: true });
      await beginReading(database, patience);
    }
    await backup(database, to, { rate, progress: () => patience.signal.throwIfAborted() });
    database.exec('COMMIT');
  } finally {
    database.close();
  }
}

function pagesOf(database: DatabaseSync): number {
  return Number(database.prepare('PRAGMA page_count').get()?.['page_count'] ?? 0);
}

/** Lets others write between steps. False when they did so too often, or have locked the database. */
async function copiedInSteps(
  database: DatabaseSync,
  to: string,
  rate: number,
  signal: AbortSignal,
): Promise<boolean> {
  let before = Number.POSITIVE_INFINITY;
  let restarts = 0;
  const progress = ({ remainingPages }: { readonly remainingPages: number }): void => {
    signal.throwIfAborted();
    if (remainingPages > before) restarts += 1;
    if (restarts > restartsAllowed || remainingPages === before) throw new GivenUp();
    before = remainingPages;
  };
  try {
    await backup(database, to, { rate, progress });
    return true;
  } catch (error) {
    const lockedAtOnce = sqliteCode(error) === 0 || sqliteCode(error) === codes.busy;
    if (error instanceof GivenUp || lockedAtOnce) return false;
    throw error;
  }
}
