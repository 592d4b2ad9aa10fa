import { constants } from 'node:fs';
import { lstat, open, rename } from 'node:fs/promises';
import { dirname } from 'node:path';
import { failure, reasonOf } from '../../../kernel/errors/failure.ts';
import { PosixHelper } from '../posix-helper.ts';
import { inWords } from './failure.ts';
import { flushDirectory } from './finish-task.ts';
import { exchangeBeside, renameToFree, type Target } from './target.ts';

/** Gives what is staged the name of a target that is not there, or is an empty directory. */
export async function putInPlace(staging: string, target: Target): Promise<void> {
  const { path } = target;
  try {
    await rename(staging, path);
  } catch (error) {
    const { code = '' } = error as NodeJS.ErrnoException;
    if (!['ENOTEMPTY', 'EEXIST', 'ENOTDIR'].includes(code)) throw error;
    const detail = ' by now; it was not when the restore began';
    throw failure('restore_target_exists', { target: path, detail }, { cause: error });
  }
  await madeDurable(target, null);
}

/**
 * Gives what is staged the name of the target, and what was there another: its path is the answer. In one step where the
 * file system can; else there is a moment in which neither has the name.
 */
export async function swapIntoPlace(staging: string, target: Target, nowMs: number): Promise<string> {
  // First under a name that says which of the two it is: whatever ends this between two steps, what was there is never
  // found under the name of something that may be removed, nor what is restored under that of what is kept.
  const { ino } = await lstat(staging, { bigint: true });
  const between = exchangeBeside(target, staging, ino);
  await rename(staging, between);
  let kept = await swapped(between, staging, target, ino, nowMs);
  await madeDurable(target, kept);
  if (kept !== between) return kept;
  // It is done; what is kept keeps the name that it has if there is no other for it.
  const free = renameToFree(Buffer.from(between), Buffer.from(target.path), nowMs);
  kept = (await free.catch(() => between)).toString();
  await madeDurable(target, kept);
  return kept;
}

/** Gives where what was there is: under the name `between` when the two could be exchanged. */
async function swapped(
  between: string,
  staging: string,
  target: Target,
  inode: bigint,
  nowMs: number,
): Promise<string> {
  const helper = await exchanger();
  try {
    if (await exchanged(helper, Buffer.from(between), Buffer.from(target.path), inode)) return between;
    return await swapInTwoSteps(between, target, nowMs);
  } catch (error) {
    const now = await lstat(between, { bigint: true }).catch(() => undefined);
    if (now?.ino === inode) await rename(between, staging).catch(() => undefined);
    throw error;
  } finally {
    await helper?.[Symbol.asyncDispose]();
  }
}

/**
 * When all is in its place. Nothing is taken back if that fails: programs may be at work there. Throws
 * `restore_not_undone`.
 */
async function madeDurable({ path, above }: Target, kept: string | null): Promise<void> {
  try {
    // With the directories that lead to it and were made for it.
    for (let at = dirname(path); at.length > above.length; at = dirname(at)) await flushPath(at);
    await flushPath(above);
  } catch (error) {
    const reason = inWords(error)?.reason ?? reasonOf(error);
    const was = kept === null ? '' : `; what was there before is kept as ${kept}`;
    const left = `all of it is in its place, but ${dirname(path)} could not be flushed (${reason}), so a crash of the machine may undo that${was}`;
    throw failure('restore_not_undone', { target: path, left }, { cause: error });
  }
}

async function swapInTwoSteps(between: string, target: Target, nowMs: number): Promise<string> {
  const { path } = target;
  const kept = (await renameToFree(Buffer.from(path), Buffer.from(path), nowMs)).toString();
  try {
    await rename(between, path);
  } catch (error) {
    await rename(kept, path).catch(() => {
      const left = `what was there is kept as ${kept}`;
      throw failure('restore_not_undone', { target: path, left }, { cause: error });
    });
    throw error;
  }
  return kept;
}

/** Not to be stopped with the restore: what has begun here is not left in the middle. */
export async function exchanger(): Promise<PosixHelper | null> {
  return await PosixHelper.start(new AbortController().signal).catch(() => null);
}

/** Exchanges two paths; whether each is now what the other was. `inode`: of what is at the first. */
export async function exchanged(
  helper: PosixHelper | null,
  one: Buffer,
  other: Buffer,
  inode: bigint,
): Promise<boolean> {
  // It may have been ended from outside, before or after.
  await helper?.exchange(one, other).catch(() => null);
  return helper !== null && (await lstat(one, { bigint: true })).ino !== inode;
}

export async function flushPath(directory: string | Buffer): Promise<void> {
  const handle = await open(directory, constants.O_RDONLY | constants.O_DIRECTORY).catch(() => undefined);
  // A directory that may be written and not be read is flushed by nobody.
  if (handle === undefined) return;
  await using opened = handle;
  await flushDirectory(opened.fd);
}
