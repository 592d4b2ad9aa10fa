import { failure, isFailure, reasonOf } from '../../../kernel/errors/failure.ts';
import { codes } from '../connection.ts';

const words: Readonly<Record<string, readonly [reason: string, mend: string]>> = {
  ENOSPC: ['its disk is full', 'free some space there, or restore to another disk'],
  EDQUOT: ['your quota there is used up', 'free some space there, or restore to another disk'],
  EFBIG: ['its file system takes no file of that size', 'restore to another file system'],
  EROFS: ['its file system is mounted read-only', 'mount it for writing, or restore to another place'],
  EACCES: ['you may not write there', 'restore as a user who may, or to another place'],
  EPERM: ['the system does not permit it', 'restore as another user, or to another place'],
  EIO: ['its disk fails (input/output error)', 'look after the disk, or restore to another one'],
};

/** Runs what writes `path`; what the system has against it becomes an error people can act on. */
export async function writing<T>(path: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    const code = (error as NodeJS.ErrnoException | undefined)?.code ?? '';
    if (isFailure(error) || !/^E[A-Z0-9]+$/.test(code)) throw error;
    const [reason, mend] = words[code] ?? [reasonOf(error), 'mend that and run the same command again'];
    throw failure('restore_write_failed', { path, reason, mend }, { cause: error });
  }
}

/** What SQLite said when it could not write a database; `code` is its primary result code. */
export function sqliteWriteFailure(
  path: string,
  { code, reason }: { readonly code: number; readonly reason: string },
): Error {
  const known = code === codes.full ? words['ENOSPC'] : code === codes.ioError ? words['EIO'] : undefined;
  const [why, mend] = known ?? [reason, 'mend that and run the same command again'];
  return failure('restore_write_failed', { path, reason: why, mend });
}
