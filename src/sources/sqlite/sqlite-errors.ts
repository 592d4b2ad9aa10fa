import { dirname } from 'node:path';
import { failure, isFailure, reasonOf } from '../../kernel/errors/failure.ts';
import { codes, sqliteCode } from './connection.ts';
import { holderOf } from './holder.ts';

/** What SQLite or the system said about a database, as an error people can act on. Others stay as they are. */
export function readFailure(file: string, error: unknown, lockWaitMs: number): unknown {
  if (isFailure(error)) return error;
  const { code } = error as NodeJS.ErrnoException;
  if (code === 'EACCES' || code === 'EPERM') return denied(file, error);
  const result = sqliteCode(error);
  if (result === undefined) {
    if (typeof code !== 'string' || !/^E[A-Z]+$/.test(code)) return error;
    return failure('sqlite_unreadable', { file, reason: reasonOf(error) }, { cause: error });
  }
  switch (result) {
    case codes.busy:
      return locked(file, lockWaitMs);
    case codes.corrupt:
    case codes.notADatabase:
      return failure('sqlite_damaged', { file, reason: reasonOf(error) }, { cause: error });
    case codes.full:
      return failure(
        'sqlite_unreadable',
        { file, reason: 'there is no room for its copy' },
        { cause: error },
      );
    default:
      return failure('sqlite_unreadable', { file, reason: reasonOf(error) }, { cause: error });
  }
}

export function locked(file: string, lockWaitMs: number): Error {
  const holder = holderOf(file);
  return failure('sqlite_locked', {
    file,
    waited: `${Math.round(lockWaitMs / 100) / 10} s`,
    holder: holder === null ? '' : ` by ${holder}`,
  });
}

function denied(file: string, cause: unknown): Error {
  return failure('sqlite_denied', { file, files: `${file}*, and pass through ${dirname(file)}` }, { cause });
}
