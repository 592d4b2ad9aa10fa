import { failure } from '../../kernel/errors/failure.ts';
import type { BackupContext, BackupOutcome } from '../port.ts';

export interface SqliteBackupOptions {
  /** Absolute paths and patterns. */
  readonly paths: readonly string[];
  readonly exclude: readonly string[];
  readonly check: 'quick' | 'full' | 'none';
  readonly lockWaitMs: number;
  /** For the copies that are read. */
  readonly temporaryDirectory: string;
  /** Lower-case hexadecimal digits, two a byte. */
  readonly randomHex: (bytes: number) => string;
  /** Of this machine, to tell whether the backup before was taken here. */
  readonly host: string;
  /** Milliseconds since 1970. */
  readonly now: () => number;
}

/** Backs up SQLite databases while they are in use. */
export async function backupSqlite(
  _options: SqliteBackupOptions,
  _context: BackupContext,
): Promise<BackupOutcome> {
  throw failure('not_in_this_version', { what: 'sqlite', suggestion: 'wait' });
}
