import { pathToFileURL } from 'node:url';
import { DatabaseSync } from 'node:sqlite';
import { setTimeout as delay } from 'node:timers/promises';

/** SQLite's own wait. Longer waits are made of many, so that an abort need not wait. */
const busyMs = 200;
const pauseMs = 20;

/** Primary result codes, https://www.sqlite.org/rescode.html */
export const codes = {
  none: 0,
  busy: 5,
  locked: 6,
  readonly: 8,
  ioError: 10,
  corrupt: 11,
  full: 13,
  cantOpen: 14,
  notADatabase: 26,
} as const;
/** A journal must be rolled back and this connection may not. */
const readonlyRollback = 776;

/**
 * Opens a database for reading. As a URI, so that no name of a file means anything else. `immutable`: nobody changes it;
 * no locks are taken, and what lies beside it is neither read nor made.
 */
export function openReadOnly(file: string, options: { readonly immutable?: boolean } = {}): DatabaseSync {
  const uri = `${pathToFileURL(file).href}${options.immutable === true ? '?immutable=1' : ''}`;
  return new DatabaseSync(uri, { readOnly: true, timeout: busyMs });
}

export function openReadWrite(file: string): DatabaseSync {
  return new DatabaseSync(`${pathToFileURL(file).href}?mode=rw`, { timeout: busyMs });
}

/** The primary result code of what SQLite threw; undefined for any other error. */
export function sqliteCode(error: unknown): number | undefined {
  const extended = extendedCode(error);
  return extended === undefined ? undefined : extended & 0xff;
}

export function needsRollback(error: unknown): boolean {
  return extendedCode(error) === readonlyRollback;
}

function extendedCode(error: unknown): number | undefined {
  const { code, errcode } = error as { code?: unknown; errcode?: unknown };
  return code === 'ERR_SQLITE_ERROR' && typeof errcode === 'number' ? errcode : undefined;
}

export interface Patience {
  /** On `performance.now()`. */
  readonly deadlineMs: number;
  readonly signal: AbortSignal;
}

/**
 * Begins to read: until the transaction ends, what this connection sees stays as it is. In rollback mode nobody can
 * commit meanwhile. Reads nothing but the header, so that a schema that does not parse is no obstacle. Waits while the
 * database is locked; then throws SQLite's own error.
 */
export async function beginReading(database: DatabaseSync, patience: Patience): Promise<void> {
  for (;;) {
    patience.signal.throwIfAborted();
    try {
      database.exec('BEGIN');
      database.prepare('PRAGMA user_version').get();
      return;
    } catch (error) {
      if (database.isTransaction) database.exec('ROLLBACK');
      if (sqliteCode(error) !== codes.busy || performance.now() >= patience.deadlineMs) throw error;
    }
    await delay(pauseMs);
  }
}
