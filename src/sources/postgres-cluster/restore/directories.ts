import { lchown, lstat, mkdir, readlink, rm, stat, symlink, unlink } from 'node:fs/promises';
import type { RestoreContext } from '../../port.ts';
import type { Areas } from './areas.ts';
import { itemOf } from './entries.ts';
import { writeFailure } from './failure.ts';
import { directoriesAbove, locationOf, type PlacedTablespace } from './layout.ts';
import type { FileOwner } from './options.ts';
import { serverDirectories } from '../../../postgres/data-directory.ts';
import { isOutsideConfig, type Special } from './survey.ts';

export interface DirectoryWork {
  readonly areas: Areas;
  readonly context: RestoreContext;
  readonly target: string;
  readonly owner: FileOwner | null;
  readonly tablespaces: readonly PlacedTablespace[];
}

/** Directories of a restore, those above first, and the small parts of it that are written by themselves. */
export interface Skeleton {
  readonly directories: readonly string[];
  readonly specials: readonly Special[];
}

/** Reads the entries, makes every directory and the links to tablespaces. What is in the way of one is gone already. */
export async function makeDirectories(work: DirectoryWork): Promise<Skeleton> {
  const { areas, context, tablespaces } = work;
  const links = new Set(tablespaces.map(({ oid }) => `pg_tblspc/${oid}`));
  const directories = new Set<string>(serverDirectories);
  const specials: Special[] = [];
  for await (const entry of context.entries()) {
    const item = itemOf(entry);
    if (item === null) continue;
    if (item.type === 'special') specials.push(item);
    if (isOutsideConfig(item.path)) continue;
    for (const above of directoriesAbove(item.path)) directories.add(above);
    if (item.type === 'directory') directories.add(item.path);
  }
  const byDepth = [...directories]
    .filter((path) => !links.has(path))
    .toSorted((a, b) => depthOf(a) - depthOf(b));
  for (const path of byDepth) {
    context.signal.throwIfAborted();
    const { base, relative, shown } = areas.spot(path);
    await attempt(shown, work, () => makeDirectory(locationOf(base, relative), path));
  }
  for (const one of tablespaces)
    await attempt(`${work.target}/pg_tblspc/${one.oid}`, work, () => link(one, work));
  return { directories: byDepth, specials };
}

function depthOf(path: string): number {
  return path.split('/').length;
}

async function makeDirectory(location: string | Buffer, path: string): Promise<void> {
  try {
    await mkdir(location, { mode: 0o700 });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    // pg_wal may lead elsewhere, as initdb --waldir has it.
    const info = path === 'pg_wal' ? await stat(location) : await lstat(location);
    if (!info.isDirectory()) throw error;
  }
}

async function link({ oid, location }: PlacedTablespace, { areas, owner }: DirectoryWork): Promise<void> {
  const path = areas.location(`pg_tblspc/${oid}`);
  const before = await readlink(path).catch(() => null);
  if (before !== location) {
    const info = await lstat(path).catch(() => null);
    if (info?.isDirectory() === true) await rm(path, { recursive: true });
    else if (info !== null) await unlink(path);
    await symlink(location, path);
  }
  if (owner !== null) await lchown(path, owner.uid, owner.gid);
}

async function attempt(shown: string, { target }: DirectoryWork, work: () => Promise<void>): Promise<void> {
  try {
    await work();
  } catch (error) {
    throw writeFailure(shown, error, target);
  }
}
