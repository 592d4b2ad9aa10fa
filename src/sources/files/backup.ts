import { failure } from '../../kernel/errors/failure.ts';
import type { BackupContext, BackupOutcome } from '../port.ts';

export interface FilesBackupOptions {
  /** Absolute paths. */
  readonly paths: readonly string[];
  readonly exclude: readonly string[];
  readonly include: readonly string[];
  /** Empty: none. */
  readonly ignoreFile: string;
  readonly excludeCaches: boolean;
  readonly oneFileSystem: boolean;
  readonly xattrs: 'auto' | 'on' | 'off';
  /** Of this machine, to tell whether the backup before was taken here. */
  readonly host: string;
  /** Milliseconds since 1970. */
  readonly now: () => number;
}

/** Backs up directories and files. */
export async function backupFiles(
  _options: FilesBackupOptions,
  _context: BackupContext,
): Promise<BackupOutcome> {
  throw failure('not_in_this_version', { what: 'files', suggestion: 'wait' });
}
