import type { Entry } from '../../contract/stream.ts';
import { failure } from '../../kernel/errors/failure.ts';
import type { RestoreContext } from '../port.ts';

export interface SqliteRestoreOptions {
  /** Absolute path of a file or a directory. */
  readonly target: string;
  /** It was written with a slash at its end: a directory, though it may not be there yet. */
  readonly targetIsDirectory: boolean;
  /** Paths or patterns of databases in the backup; all when empty. */
  readonly only: readonly string[];
  readonly force: boolean;
  /** Examine each restored database (PRAGMA integrity_check). */
  readonly check: boolean;
  readonly owner: boolean;
  readonly randomHex: (bytes: number) => string;
  /** Milliseconds since 1970. */
  readonly now: () => number;
}

/** What a restore would do, as plain data. */
export interface SqliteRestoreSummary {
  readonly kind: 'sqlite';
  readonly target: string;
  readonly databases: readonly {
    /** Its path in the backup, and the file it is restored to. */
    readonly path: string;
    readonly file: string;
    readonly mode: 'create' | 'replace';
    readonly bytes: number;
  }[];
  readonly bytes: number;
  readonly warnings: readonly string[];
}

export interface SqliteRestorePlan {
  readonly summary: SqliteRestoreSummary;
  readonly needs: (entry: Entry) => boolean;
}

/** What was restored. */
export interface SqliteRestored {
  readonly databases: readonly {
    readonly file: string;
    readonly bytes: number;
    /** Where what was there before is kept; null when nothing was. */
    readonly replaced: string | null;
  }[];
  /** Databases examined and found whole. */
  readonly checked: number;
  readonly warnings: readonly string[];
}

/** Plans a restore; refuses what cannot go well. Changes nothing. */
export async function planSqliteRestore(
  _options: SqliteRestoreOptions,
  _context: RestoreContext,
): Promise<SqliteRestorePlan> {
  throw failure('not_in_this_version', { what: 'sqlite', suggestion: 'wait' });
}

/** Does what a plan says. When it rejects, every target is as it was. */
export async function runSqliteRestore(
  _plan: SqliteRestorePlan,
  _context: RestoreContext,
): Promise<SqliteRestored> {
  throw failure('not_in_this_version', { what: 'sqlite', suggestion: 'wait' });
}
