import { failure, isFailure, reasonOf } from '../../kernel/errors/failure.ts';
import { quoteIdentifier } from '../../postgres/names.ts';
import type { Session } from '../../postgres/connection/session.ts';

/** For a swap, every one of which waits up to 5 s for connections to end, and so long for a lock. */
const tries = 3;

/** The very last step: the restored database gets its name. */
export async function renameIntoPlace(
  maintenance: Session,
  temporary: string,
  wanted: string,
): Promise<void> {
  await maintenance.query(rename(temporary, wanted));
}

/**
 * Renames the existing database away and the restored one into its place. Connections to the old one are ended.
 * Both or nothing, whatever happens to us: the old database is usable until the moment the new one has its name.
 * `signal` is heeded between tries, when nothing has been done.
 */
export async function swapIntoPlace(
  maintenance: Session,
  temporary: string,
  wanted: string,
  kept: string,
  signal: AbortSignal,
): Promise<void> {
  for (let attempt = 1; ; attempt += 1) {
    signal.throwIfAborted();
    try {
      await swap(maintenance, temporary, wanted, kept);
      return;
    } catch (error) {
      if (attempt === tries || !isBusy(error)) throw error;
    }
  }
}

/** The lock that the first renaming takes lets nobody else in until the end of the transaction. */
async function swap(maintenance: Session, temporary: string, wanted: string, kept: string): Promise<void> {
  await maintenance.query('BEGIN');
  try {
    await maintenance.query(`SET LOCAL lock_timeout = '5s'`);
    // The server ends workers of its own by itself, and lets only superusers do it.
    await maintenance.query(
      `SELECT pg_catalog.pg_terminate_backend(pid) FROM pg_catalog.pg_stat_activity
        WHERE datname = $1 AND pid <> pg_catalog.pg_backend_pid() AND backend_type <> 'autovacuum worker'`,
      [wanted],
    );
    await maintenance.query(rename(wanted, kept));
    await maintenance.query(rename(temporary, wanted));
    await maintenance.query('COMMIT');
  } catch (error) {
    await maintenance.query('ROLLBACK').catch(() => undefined); // a lost connection rolls back, too
    throw error;
  }
}

function rename(from: string, to: string): string {
  return `ALTER DATABASE ${quoteIdentifier(from)} RENAME TO ${quoteIdentifier(to)}`;
}

function isBusy(error: unknown): boolean {
  return isFailure(error, 'postgres_lock_timeout') || /being accessed by other users/.test(reasonOf(error));
}

/** Says where the restored data are when the last step failed, for whatever reason. */
export function notInPlace(server: string, temporary: string, wanted: string, error: unknown): Error {
  return failure(
    'postgres_restore_in_use',
    {
      database: wanted,
      server,
      reason: isFailure(error, 'postgres_lock_timeout') ? 'another session has locked it' : reasonOf(error),
      temporary: quoteIdentifier(temporary),
      wanted: quoteIdentifier(wanted),
    },
    { cause: error },
  );
}
