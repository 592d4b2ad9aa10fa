import type { Finding } from '../port.ts';
import type { FilesBackupOptions } from './backup.ts';

/** Looks whether the paths could be backed up: for `doctor` and `--dry-run`. */
export async function checkFiles(_options: FilesBackupOptions, _signal: AbortSignal): Promise<Finding[]> {
  return [];
}
