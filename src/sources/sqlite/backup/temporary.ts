import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { failure, reasonOf } from '../../../kernel/errors/failure.ts';
import { removeLeftBehind } from '../../../kernel/left-behind.ts';

const prefix = 'holdfast-sqlite-';
const names = /^holdfast-sqlite-(\d+)-[0-9a-f]+$/;

/**
 * Makes a directory for copies that only we can enter, in `parent`. Removes those that processes have left there that
 * were killed: a day ago, and of processes that are no more. Throws `sqlite_no_temporary`.
 */
export async function makeTemporary(parent: string, token: string, nowMs: number): Promise<string> {
  const directory = join(parent, `${prefix}${process.pid}-${token}`);
  try {
    await mkdir(parent, { recursive: true });
    await removeLeftBehind(parent, names, nowMs);
    await mkdir(directory, { mode: 0o700 });
  } catch (error) {
    throw failure('sqlite_no_temporary', { directory: parent, reason: reasonOf(error) }, { cause: error });
  }
  return directory;
}
