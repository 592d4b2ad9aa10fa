import { failure, isFailure, reasonOf } from '../../../kernel/errors/failure.ts';

const space = 'free some space there, or restore to another disk';
const other = 'restore to another place; --only restores a part';

/** What the system says, in words, and what to do about it. */
const words: Readonly<Record<string, readonly [reason: string, mend: string]>> = {
  ENOSPC: ['its disk is full', space],
  EDQUOT: ['your quota there is used up', space],
  EFBIG: ['the file is larger than its file system takes', 'restore to another file system'],
  EROFS: ['its file system is read-only', 'mount it for writing, or restore to another place'],
  EIO: [
    'its disk fails (input/output error)',
    'look after the disk (dmesg shows more), or restore to another one',
  ],
  EACCES: ['you may not write there', 'restore as a user who may, or to another place'],
  EPERM: ['the system does not permit it', 'restore as another user, or to a file system that can hold it'],
  EEXIST: [
    'something of that name was restored already',
    'restore to a file system that tells these names apart, or a part with --only',
  ],
  ENAMETOOLONG: ['its name is longer than its file system takes', other],
  EINVAL: ['its file system does not take it', 'restore to another file system'],
  EILSEQ: ['its file system does not take this name', 'restore to another file system'],
  EMLINK: ['its file system does not take so many names of one file', 'restore to another file system'],
  ENOTSUP: ['its file system cannot hold it', 'restore to another file system'],
  EXDEV: ['it is on another file system than the target', 'restore to a place of its own'],
  EBUSY: ['it is in use', 'restore to another place'],
  ENOENT: ['it was taken away meanwhile', 'make sure that nothing else changes the target, and run it again'],
  ENOTEMPTY: [
    'something came to its place meanwhile',
    'make sure that nothing else restores to that place, and run it again',
  ],
  EMFILE: ['too many files are open', 'raise the limit (ulimit -n), or use fewer --jobs'],
};

/** What the system says of a place, and the mend. Null for what is no error of the system. */
export function inWords(error: unknown): { readonly reason: string; readonly mend: string } | null {
  const code = (error as NodeJS.ErrnoException | undefined)?.code ?? '';
  if (isFailure(error) || !/^E[A-Z0-9]+$/.test(code)) return null;
  const [reason, mend] = words[code] ?? [reasonOf(error), 'mend that and run the same command again'];
  return { reason, mend };
}

/** What went wrong while `path` was written, as an error people can act on; coded errors and aborts stay as they are. */
export function writeFailure(path: string, thrown: unknown): unknown {
  // A disk that fails often fails the closing of the file as well; what counts is what failed first.
  let error = thrown;
  while (error instanceof SuppressedError) error = error.suppressed;
  const told = inWords(error);
  return told === null ? error : failure('restore_write_failed', { path, ...told }, { cause: error });
}

/** Runs what writes `path`. */
export async function writing<T>(path: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw writeFailure(path, error);
  }
}

/** A backup whose entries are not what they must be. */
export function damagedEntries(reason: string): Error {
  return failure('object_damaged', { name: 'the list of entries of the backup', reason });
}
