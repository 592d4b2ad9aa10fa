import { failure, isFailure, reasonOf } from '../../../kernel/errors/failure.ts';

const space = 'free some space there';
const words: Readonly<Record<string, readonly [reason: string, mend: string]>> = {
  ENOSPC: ['its disk is full', space],
  EDQUOT: ['your quota there is used up', space],
  EROFS: ['its file system is read-only', 'mount it for writing'],
  EIO: ['its disk fails (input/output error)', 'look after the disk (dmesg shows more)'],
  EACCES: ['you may not write there', 'see to it that you may'],
  EPERM: ['the system does not permit it', 'see to it that it does (lsattr shows locks of files)'],
  EEXIST: ['something came to its place meanwhile', 'make sure that nothing else uses the directory'],
  ENOENT: ['it was taken away meanwhile', 'make sure that nothing else uses the directory'],
  EMFILE: ['too many files are open', 'raise the limit (ulimit -n), or use fewer --jobs'],
};

/** What went wrong while `path` was written, as a coded error; others stay as they are. `target`: of the restore. */
export function writeFailure(path: string, thrown: unknown, target: string): unknown {
  // A disk that fails often fails the closing of the file as well; what counts is what failed first.
  let error = thrown;
  while (error instanceof SuppressedError) error = error.suppressed;
  const code = (error as NodeJS.ErrnoException | undefined)?.code ?? '';
  if (isFailure(error) || !/^E[A-Z0-9]+$/.test(code)) return error;
  const [reason, mend] = words[code] ?? [reasonOf(error), 'mend that'];
  return failure(
    'cluster_restore_unfinished',
    { target, reason: `${path}: ${reason}`, mend },
    { cause: error },
  );
}
