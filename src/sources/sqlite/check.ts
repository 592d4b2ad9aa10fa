import type { Finding } from '../port.ts';
import type { SqliteBackupOptions } from './backup.ts';

/** Looks whether the databases could be backed up: for `doctor` and `--dry-run`. */
export async function checkSqlite(_options: SqliteBackupOptions, _signal: AbortSignal): Promise<Finding[]> {
  return [];
}
