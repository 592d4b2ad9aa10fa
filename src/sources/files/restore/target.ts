import { constants } from 'node:fs';
import { access, readdir, realpath, stat, statfs } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { failure } from '../../../kernel/errors/failure.ts';
import { tookName } from '../../took-name.ts';
import { inWords } from './failure.ts';
import { isMountPoint, type MountPoints, mountPoints, mountWithin } from './mounts.ts';
import { isThere } from './remove.ts';

/** Where a restore goes, as it was found. */
export interface Target {
  /** Absolute, without symbolic links. */
  readonly path: string;
  readonly found: 'nothing' | 'empty' | 'full';
  /** The nearest directory above that is there. */
  readonly above: string;
  /** Why no other directory can take its place; null when one can. */
  readonly fixed: string | null;
}

export const restoringMark = '.holdfast-restoring-';
export const exchangeMark = '.holdfast-exchange-';
export const replacingMark = '.holdfast-replacing-';
const replacedMark = '.holdfast-replaced-';
/** Names have at most 255 bytes. */
const nameBytes = 255 - 64;

/** Looks at the target. Throws `restore_target_unusable` for what can never be one. */
export async function examineTarget(given: string): Promise<Target> {
  try {
    return await examined(given);
  } catch (error) {
    const told = inWords(error);
    throw told === null
      ? error
      : failure('restore_target_unusable', { target: given, ...told }, { cause: error });
  }
}

async function examined(given: string): Promise<Target> {
  const path = await resolved(given);
  const info = await stat(path).catch(() => undefined);
  if (info === undefined) {
    if (await isThere(path))
      throw unusable(given, 'it is a symbolic link to nothing', 'remove it, or restore to another place');
    return await newTarget(given, path);
  }
  if (!info.isDirectory())
    throw unusable(given, 'it is no directory', 'name a directory, which need not be there yet');
  const above = dirname(path);
  const found = (await isEmpty(path, given)) ? 'empty' : 'full';
  return { path, found, above, fixed: await whyFixed(path, above) };
}

async function newTarget(given: string, path: string): Promise<Target> {
  let above = dirname(path);
  while (!(await isThere(above))) above = dirname(above);
  const info = await stat(above);
  if (!info.isDirectory())
    throw unusable(
      given,
      `${above} is no directory`,
      'name a place in a directory, which need not be there yet',
    );
  const refused = await whyNotWritable(above);
  if (refused !== null)
    throw unusable(
      given,
      `${above} cannot be written: ${refused}`,
      `restore to another place, or as a user who may write to ${above}`,
    );
  return { path, found: 'nothing', above, fixed: null };
}

/** The path without symbolic links, as far as it is there. */
async function resolved(path: string): Promise<string> {
  try {
    return await realpath(path);
  } catch {
    const above = dirname(path);
    return above === path ? path : join(await resolved(above), basename(path));
  }
}

async function isEmpty(path: string, given: string): Promise<boolean> {
  try {
    return (await readdir(path)).length === 0;
  } catch (error) {
    const { code = '' } = error as NodeJS.ErrnoException;
    throw unusable(given, `it cannot be read (${code})`, 'restore as a user who may, or to another place');
  }
}

async function whyFixed(path: string, above: string): Promise<string | null> {
  if (path === above) return 'it is the root of the file system';
  const [own, parent] = [await stat(path), await stat(above)];
  if (own.dev !== parent.dev || isMountPoint(Buffer.from(path), await mountPoints(path)))
    return 'something is mounted there';
  const uid = process.geteuid?.() ?? 0;
  const sticky = (parent.mode & 0o1000) !== 0;
  if (sticky && uid !== 0 && uid !== own.uid && uid !== parent.uid) return 'only its owner may move it';
  const refused = await whyNotWritable(above);
  return refused === null ? null : `${above} cannot be written: ${refused}`;
}

/**
 * Throws `restore_target_unusable` when something is mounted at or below what makes way: it would go along, and be
 * deleted with it by whoever removes what is kept.
 */
export async function checkNoMount(path: Buffer, given: string, points: MountPoints): Promise<void> {
  const mount = await mountWithin(path, points);
  if (mount === undefined) return;
  const shown = mount.toString();
  throw unusable(
    given,
    `something is mounted at ${shown}, and would be moved away with what is there now`,
    `restore to another place; or unmount it first (umount ${shown}), and mount it again when the restore is done`,
  );
}

async function whyNotWritable(directory: string): Promise<string | null> {
  try {
    await access(directory, constants.W_OK | constants.X_OK);
    return null;
  } catch (error) {
    const { code = '' } = error as NodeJS.ErrnoException;
    return code === 'EROFS' ? 'its file system is read-only' : 'permission denied';
  }
}

/** A directory into which things are moved has to be writable itself. */
export async function checkWritable({ path }: Target, given: string): Promise<void> {
  const refused = await whyNotWritable(path);
  if (refused !== null)
    throw unusable(given, refused, `restore to another place, or as a user who may write to ${path}`);
}

/** Throws `restore_target_unusable` when the file system there has clearly too little room. */
export async function checkRoom(
  { path, found, above }: Target,
  given: string,
  needs: { readonly bytes: number; readonly inodes: number },
): Promise<void> {
  const { bavail, bfree, bsize, files, ffree } = await statfs(found === 'nothing' ? above : path);
  const free = (process.geteuid?.() === 0 ? bfree : bavail) * bsize;
  const mend = 'free some space there, restore to another disk, or only a part with --only';
  if (needs.bytes > free)
    throw unusable(given, `${needs.bytes} bytes are needed there, and ${free} are free`, mend);
  if (files > 0 && needs.inodes > ffree)
    throw unusable(
      given,
      `its file system has room for ${ffree} more files, and ${needs.inodes} are needed`,
      mend,
    );
}

export function unusable(target: string, reason: string, mend: string): Error {
  return failure('restore_target_unusable', { target, reason, mend });
}

/** Where things are put until all are there. */
export function stagingBeside({ path }: Target, token: string): string {
  return `${beginningOf(path)}${restoringMark}${token}`;
}

export function stagingWithin({ path }: Target, token: string): string {
  return join(path, `${restoringMark}${token}`);
}

/** Where a whole restore is while it changes places with the target; the inode tells later which of the two is there. */
export function exchangeBeside({ path }: Target, staging: string, inode: bigint): string {
  const token = staging.slice(staging.lastIndexOf('-') + 1);
  return `${beginningOf(path)}${exchangeMark}${token}-${inode}`;
}

/** The same for something that changes places with a chosen path, in a directory of this restore. */
export function exchangeName(inode: bigint): string {
  return `${exchangeMark}${inode}`;
}

/** Where what makes way for chosen paths is kept as long as the restore runs. */
export function replacingDirectory({ path, fixed }: Target, token: string): string {
  return fixed === null
    ? `${beginningOf(path)}${replacingMark}${token}`
    : join(path, `${replacingMark}${token}`);
}

/**
 * Gives a directory a name beside `path` (within, when that ends in a slash) that nothing has, and answers with it.
 * `nowMs`: milliseconds since 1970.
 */
export async function renameToFree(from: Buffer, path: Buffer, nowMs: number): Promise<Buffer> {
  const time = new Date(nowMs).toISOString().replaceAll(/[-:]|\.\d+/g, '');
  const slash = path.lastIndexOf('/') + 1;
  const beginning = Buffer.concat([path.subarray(0, slash), shortName(path.subarray(slash))]);
  for (let count = 1; ; count += 1) {
    const ending = `${replacedMark}${time}${count === 1 ? '' : `-${count}`}`;
    const name = Buffer.concat([beginning, Buffer.from(ending)]);
    if (await tookName(from, name)) return name;
  }
}

function beginningOf(path: string): string {
  return join(dirname(path), shortName(Buffer.from(basename(path))).toString());
}

/** Cut between characters, where it would become too long with what is added. */
export function shortName(name: Buffer): Buffer {
  let end = Math.min(name.length, nameBytes);
  while (end < name.length && end > 0 && ((name[end] ?? 0) & 0xc0) === 0x80) end -= 1;
  return name.subarray(0, end);
}
