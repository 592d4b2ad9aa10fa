import type { BigIntStats } from 'node:fs';
import { chmod, link, lstat, rename, unlink } from 'node:fs/promises';
import { failure } from '../../../kernel/errors/failure.ts';
import { isThere } from './remove.ts';
import { renameToFree } from './target.ts';

/** Gives where it is then: at `place`, or beside `path`. Null when there was nothing any more. */
export async function moveAside(path: Buffer, place: Buffer, nowMs: number): Promise<Buffer | null> {
  try {
    await moveDirectoryOrFile(path, place);
    return place;
  } catch (error) {
    const { code = '' } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT') return null;
    // Somebody else's directory may be given another name, and no other place.
    const stuck = ['EACCES', 'EPERM'].includes(code) && (await lstat(path)).isDirectory();
    if (!stuck) throw error;
    return await renameToFree(path, path, nowMs);
  }
}

/** Never over what is there, also when it came this moment; only an empty directory could be lost then. */
export async function moveTo(from: Buffer, to: Buffer, shown: string, info: BigIntStats): Promise<void> {
  if (!info.isDirectory() && (await linked(from, to, shown))) {
    await unlink(from);
    return;
  }
  if (await isThere(to)) throw nowThere(shown);
  await moveDirectoryOrFile(from, to, info);
}

async function linked(from: Buffer, to: Buffer, shown: string): Promise<boolean> {
  try {
    await link(from, to);
    return true;
  } catch (error) {
    const { code = '' } = error as NodeJS.ErrnoException;
    if (code === 'EEXIST') throw nowThere(shown);
    if (['EPERM', 'ENOTSUP', 'EOPNOTSUPP', 'EMLINK', 'ENOSYS'].includes(code)) return false;
    throw error;
  }
}

function nowThere(shown: string): Error {
  return failure('restore_target_exists', {
    target: shown,
    detail: ' by now; it was not when the restore began',
  });
}

/** A directory that its owner may not write to cannot be moved elsewhere by him as it is. */
export async function moveDirectoryOrFile(from: Buffer, to: Buffer, known?: BigIntStats): Promise<void> {
  const info = known ?? (await lstat(from, { bigint: true }));
  const mode = Number(info.mode & 0o7777n);
  const mine = info.uid !== 0n && info.uid === BigInt(process.geteuid?.() ?? 0);
  if (!info.isDirectory() || (mode & 0o200) !== 0 || !mine) {
    await rename(from, to);
    return;
  }
  await chmod(from, mode | 0o700);
  try {
    await rename(from, to);
  } catch (error) {
    await chmod(from, mode);
    throw error;
  }
  await chmod(to, mode);
}

/** Whether what is at a path now is that. */
export async function isAt(path: Buffer, { ino, dev }: BigIntStats): Promise<boolean> {
  const now = await lstat(path, { bigint: true }).catch(() => undefined);
  return now?.ino === ino && now.dev === dev;
}

/** Whether there is something at a path, and that is it not. */
export async function isOther(path: Buffer, { ino, dev }: BigIntStats): Promise<boolean> {
  const now = await lstat(path, { bigint: true }).catch(() => undefined);
  return now !== undefined && (now.ino !== ino || now.dev !== dev);
}

export function directoryOf(path: Buffer): Buffer {
  return path.subarray(0, path.lastIndexOf('/'));
}
