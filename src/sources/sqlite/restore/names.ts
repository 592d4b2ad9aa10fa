import { link, lstat, open, rename, unlink } from 'node:fs/promises';
import { failure } from '../../../kernel/errors/failure.ts';
import { besides } from './plan.ts';

/** Gives a file one more name, which must be free. False where the file system knows no such names. */
export async function addName(file: string, name: string): Promise<boolean> {
  try {
    await link(file, name);
    return true;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'EEXIST') throw taken(name, error);
    if (['EPERM', 'ENOTSUP', 'EOPNOTSUPP', 'EMLINK', 'ENOSYS'].includes(code ?? '')) return false;
    throw error;
  }
}

/** Moves a file to a name, which must be free: what is there is not written over. */
export async function moveTo(from: string, to: string): Promise<void> {
  if (await addName(from, to)) return await unlink(from);
  if (await exists(to)) throw taken(to);
  await rename(from, to);
}

function taken(target: string, cause?: unknown): Error {
  return failure('restore_target_exists', { target, detail: '' }, { cause });
}

/** A name that is free for a database and for all that may lie beside it. */
export async function freeName(wanted: string): Promise<string> {
  for (let number = 1; ; number += 1) {
    const name = number === 1 ? wanted : `${wanted}-${number}`;
    if ((await besides(name)).length === 0 && !(await exists(name))) return name;
  }
}

export async function exists(path: string): Promise<boolean> {
  try {
    await lstat(path);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code !== 'ENOENT';
  }
}

export async function syncDirectory(directory: string): Promise<void> {
  const handle = await open(directory, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
