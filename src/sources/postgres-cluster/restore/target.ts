import { constants } from 'node:fs';
import { access, lstat, readdir, readFile, realpath, stat } from 'node:fs/promises';
import { basename, dirname, isAbsolute, join, normalize } from 'node:path';
import { failure } from '../../../kernel/errors/failure.ts';
import type { FileOwner } from './options.ts';

/** A directory to restore to, as it was found. */
export interface Target {
  /** Absolute, without symbolic links. */
  readonly path: string;
  readonly found: 'nothing' | 'empty' | 'full';
  /** The nearest directory that is there: itself, or above it. */
  readonly nearest: string;
  /** Of the directory itself; null when it is not there. */
  readonly owner: FileOwner | null;
}

/** On file systems of their own this directory is there from the beginning, and is root's. */
const mountRubbish = 'lost+found';

/** Throws `restore_target_unusable` for what can never be a data directory. */
export async function examineTarget(given: string): Promise<Target> {
  if (!isAbsolute(given)) throw unusable(given, 'it is no absolute path', 'write it from the root: /…');
  const path = await resolved(normalize(given));
  const info = await stat(path).catch(() => null);
  if (info === null) {
    const link = await lstat(path).catch(() => null);
    if (link !== null)
      throw unusable(given, 'it is a symbolic link to nothing', 'remove it, or restore to another place');
    return { path, found: 'nothing', nearest: await writableAbove(path, given), owner: null };
  }
  if (!info.isDirectory())
    throw unusable(given, 'it is no directory', 'name a directory, which need not be there yet');
  if (dirname(path) === path)
    throw unusable(given, 'it is the root of the file system', 'name a directory below it');
  const owner = { uid: info.uid, gid: info.gid };
  const names = await namesIn(path, given);
  return { path, found: names.length === 0 ? 'empty' : 'full', nearest: path, owner };
}

async function namesIn(path: string, given: string): Promise<string[]> {
  try {
    await access(path, constants.R_OK | constants.W_OK | constants.X_OK);
    return (await readdir(path)).filter((name) => name !== mountRubbish);
  } catch (error) {
    const { code = '' } = error as NodeJS.ErrnoException;
    const mend = 'restore as the user that PostgreSQL runs as, or to another place';
    throw unusable(given, `it cannot be read and written (${code})`, mend);
  }
}

export async function isEmpty(path: string): Promise<boolean> {
  return (await readdir(path)).every((name) => name === mountRubbish);
}

/** The nearest directory above that is there. */
async function writableAbove(path: string, given: string): Promise<string> {
  const above = await nearestDirectory(dirname(path));
  try {
    if (!(await stat(above)).isDirectory())
      throw unusable(given, `${above} is no directory`, 'restore to another place');
    await access(above, constants.W_OK | constants.X_OK);
    return above;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === undefined) throw error;
    const mend = `restore to another place, or as a user who may write to ${above}`;
    throw unusable(given, `${above} cannot be written (${code})`, mend);
  }
}

export async function nearestDirectory(path: string): Promise<string> {
  for (let at = path; ; at = dirname(at)) {
    if ((await stat(at).catch(() => null)) !== null || at === dirname(at)) return at;
  }
}

/** The path without symbolic links, as far as it is there. */
export async function resolved(path: string): Promise<string> {
  try {
    return await realpath(path);
  } catch {
    const above = dirname(path);
    return above === path ? path : join(await resolved(above), basename(path));
  }
}

/** Throws `restore_target_unusable` when the directory cannot be given another name. */
export async function checkRenamable(path: string, given: string): Promise<void> {
  const above = dirname(path);
  const [own, parent] = [await stat(path), await stat(above)];
  const mounts = await readFile('/proc/self/mountinfo', 'utf8').catch(() => '');
  const mounted = mounts.split('\n').some((line) => unescaped(line.split(' ')[4] ?? '') === path);
  const mend =
    'restore to another place; or move what is in it elsewhere: an empty directory is filled where it is';
  if (mounted || own.dev !== parent.dev)
    throw unusable(given, 'something is mounted there, so what is there cannot get another name', mend);
  await access(above, constants.W_OK | constants.X_OK).catch(() => {
    throw unusable(given, `${above} cannot be written, so what is there cannot get another name`, mend);
  });
}

function unescaped(text: string): string {
  return text.replaceAll(/\\(\d{3})/g, (_, octal: string) => String.fromCodePoint(Number.parseInt(octal, 8)));
}

export function unusable(target: string, reason: string, mend: string): Error {
  return failure('restore_target_unusable', { target, reason, mend });
}
