import { constants } from 'node:fs';
import { access, lstat, realpath, stat, statfs } from 'node:fs/promises';
import { basename, dirname, join, matchesGlob, resolve, sep } from 'node:path';
import type { Entry } from '../../../contract/stream.ts';
import { pathBytes } from '../../../kernel/byte-path.ts';
import { failure } from '../../../kernel/errors/failure.ts';
import { nearest } from '../../../kernel/nearest.ts';
import type { RestoreContext } from '../../port.ts';
import { judgeCheck, warningOf } from '../judge.ts';
import { sidecars } from '../identity.ts';
import { databaseMetaSchema, entryKinds, type DatabaseMeta } from '../metadata.ts';
import type { SqliteRestoreOptions } from './options.ts';

export interface PlannedDatabase {
  readonly path: string;
  readonly entry: Entry;
  readonly meta: DatabaseMeta;
  readonly hashes: Entry | null;
  /** Where it goes; symbolic links followed. */
  readonly file: string;
  readonly mode: 'create' | 'replace';
  readonly bytes: number;
}

export interface RestorePlanned {
  readonly databases: readonly PlannedDatabase[];
  readonly warnings: readonly string[];
}

export type Chosen = Omit<PlannedDatabase, 'file' | 'mode'>;

/** Finds out what goes where. Throws what stands in the way. */
export async function planRestore(
  options: SqliteRestoreOptions,
  context: RestoreContext,
): Promise<RestorePlanned> {
  const chosen = choose(await databasesIn(context), options.only);
  const databases: PlannedDatabase[] = [];
  const files = await targetsOf(chosen, options);
  for (const [index, one] of chosen.entries()) {
    const file = files[index] ?? options.target;
    databases.push({ ...one, file, mode: await modeOf(file, options.force) });
  }
  await refuseOneForTwo(databases);
  await checkRoom(databases);
  const flaws = databases.flatMap(({ meta, path }) => judgeCheck(path, meta.check).problem ?? []);
  return { databases, warnings: flaws.map(warningOf) };
}

export async function databasesIn(context: RestoreContext): Promise<readonly Chosen[]> {
  const hashes = new Map<string, Entry>();
  const found: Omit<Chosen, 'hashes'>[] = [];
  for await (const entry of context.entries()) {
    if (entry.kind === entryKinds.hashes) hashes.set(entry.path, entry);
    if (entry.kind !== entryKinds.database) continue;
    const meta = databaseMetaSchema.parse(entry.meta);
    found.push({ path: entry.path, entry, meta, bytes: entry.stream?.size_bytes ?? 0 });
  }
  return found.map((one) => {
    const own = one.meta.hashes === null ? null : hashes.get(one.meta.hashes);
    if (own !== undefined) return { ...one, hashes: own };
    const reason = `the hashes of ${one.path} are missing`;
    throw failure('object_damaged', { name: 'the list of entries of the backup', reason });
  });
}

export function choose(all: readonly Chosen[], only: readonly string[]): readonly Chosen[] {
  if (only.length === 0) return all;
  const chosen = new Set<Chosen>();
  for (const wish of only) {
    const exact = all.filter(({ path }) => path === wish);
    const meant = exact.length > 0 ? exact : all.filter(({ path }) => matchesGlob(path, wish));
    if (meant.length === 0) {
      const near = nearest(
        wish,
        all.map(({ path }) => path),
      );
      const suggestion = near === undefined ? '' : `; did you mean ${near}?`;
      throw failure('restore_selects_nothing', { only: `--only path=${wish}`, suggestion });
    }
    for (const one of meant) chosen.add(one);
  }
  return all.filter((one) => chosen.has(one));
}

/** Where each goes: one database to the file of the target or into its directory, several into its directory. */
async function targetsOf(
  chosen: readonly Chosen[],
  options: SqliteRestoreOptions,
): Promise<readonly string[]> {
  const { target, targetIsDirectory } = options;
  const there = await stat(target).catch(() => null);
  const isDirectory = there?.isDirectory() === true;
  const [single] = chosen;
  if (chosen.length === 1 && single !== undefined) {
    const name = basename(pathBytes(single.path).toString());
    if (!isDirectory && !targetIsDirectory) return [await followed(target)];
    if (there !== null && !isDirectory)
      throw noDirectory(target, 'it was written as a directory and is a file');
    return [await followed(join(target, name))];
  }
  if (there !== null && !isDirectory) {
    const reason = `it is a file, and the backup has ${chosen.length} databases`;
    throw noDirectory(target, reason);
  }
  return await Promise.all(chosen.map(async ({ path }) => await followed(await below(target, path))));
}

/** Two names of the target may lead to one file, where one database would overwrite the other. */
async function refuseOneForTwo(databases: readonly PlannedDatabase[]): Promise<void> {
  const seen = new Map<string, string>();
  for (const { file, path } of databases) {
    const there = await stat(file, { bigint: true }).catch(() => null);
    for (const key of [file, ...(there === null ? [] : [`${there.dev}:${there.ino}`])]) {
      const other = seen.get(key);
      if (other !== undefined && other !== path) {
        const reason = `both ${other} and ${path} would go there: one is a link to the other`;
        const mend = 'remove the link, or restore to another place';
        throw failure('restore_target_unusable', { target: file, reason, mend });
      }
      seen.set(key, path);
    }
  }
}

function noDirectory(target: string, reason: string): Error {
  const mend = 'restore to a directory, or one database with --only path=…';
  return failure('restore_target_unusable', { target, reason, mend });
}

/** Never outside of the target, whatever the backup says, and whatever directories there lead to. */
async function below(target: string, path: string): Promise<string> {
  const file = resolve(target, pathBytes(path).toString());
  if (!isWithin(target, file)) {
    const reason = `it names ${path}`;
    throw failure('object_damaged', { name: 'the list of entries of the backup', reason });
  }
  const directory = await nearestDirectory(dirname(file));
  if (isWithin(target, directory) && !isWithin(await realpath(target), await realpath(directory))) {
    const reason = 'a symbolic link on the way to it leads out of the target';
    const mend = 'remove the link, or restore to another place';
    throw failure('restore_target_unusable', { target: file, reason, mend });
  }
  return file;
}

function isWithin(directory: string, path: string): boolean {
  return path === directory || path.startsWith(directory.endsWith(sep) ? directory : directory + sep);
}

/** What a database's name leads to: files beside it are looked for there. */
async function followed(file: string): Promise<string> {
  const itself = await lstat(file).catch(() => null);
  if (itself?.isSymbolicLink() !== true) return file;
  try {
    return await realpath(file);
  } catch (error) {
    const mend = 'remove the link, or restore to another place';
    const reason = 'it is a symbolic link that leads nowhere';
    throw failure('restore_target_unusable', { target: file, reason, mend }, { cause: error });
  }
}

async function modeOf(file: string, force: boolean): Promise<'create' | 'replace'> {
  const there = await lstat(file).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return null;
    const reason = error.code === 'ENOTDIR' ? 'a part of its path is a file' : error.message;
    throw failure('restore_target_unusable', { target: file, reason, mend: 'choose another place' });
  });
  if (there !== null && !there.isFile()) {
    const reason = there.isDirectory() ? 'it is a directory' : 'it is no ordinary file';
    throw failure('restore_target_unusable', { target: file, reason, mend: 'choose another place' });
  }
  const beside = await besides(file);
  if (there === null && beside.length === 0) return 'create';
  if (force) return 'replace';
  const [left = file] = beside;
  if (there !== null) throw failure('restore_target_exists', { target: file, detail: '' });
  const detail = ', left by a database that is gone; it would damage the restored one';
  throw failure('restore_target_exists', { target: left, detail });
}

/** The files beside a database that SQLite would take for its own. */
export async function besides(file: string): Promise<string[]> {
  const found: string[] = [];
  for (const ending of sidecars) {
    const there = await lstat(file + ending).catch(() => null);
    if (there !== null) found.push(file + ending);
  }
  return found;
}

async function checkRoom(databases: readonly PlannedDatabase[]): Promise<void> {
  const needed = new Map<string, number>();
  for (const { file, bytes } of databases) {
    const directory = await nearestDirectory(dirname(file));
    // What is overwritten is copied first, and needs room for a journal or a log.
    const old = (await stat(file).catch(() => null))?.size ?? 0;
    const all = bytes + (old === 0 ? 0 : old + Math.max(bytes, old));
    needed.set(directory, (needed.get(directory) ?? 0) + all);
  }
  for (const [directory, bytes] of needed) {
    await access(directory, constants.W_OK | constants.X_OK).catch((error: unknown) => {
      const mend = 'restore as a user who may, or to another place';
      throw failure(
        'restore_target_unusable',
        { target: directory, reason: 'you may not write there', mend },
        { cause: error },
      );
    });
    const { bavail, bsize } = await statfs(directory, { bigint: true });
    const free = Number(bavail * bsize);
    if (free >= bytes) continue;
    const reason = `it needs ${mebibytes(bytes)} and there are ${mebibytes(free)} free`;
    throw failure('restore_target_unusable', {
      target: directory,
      reason,
      mend: 'free some space, or restore to another disk',
    });
  }
}

async function nearestDirectory(path: string): Promise<string> {
  for (let directory = path; ; directory = dirname(directory)) {
    const there = await stat(directory).catch(() => null);
    if (there?.isDirectory() === true || directory === dirname(directory)) return directory;
    if (there !== null) {
      const reason = `${directory} is a file`;
      throw failure('restore_target_unusable', { target: path, reason, mend: 'choose another place' });
    }
  }
}

function mebibytes(bytes: number): string {
  return `${Math.ceil(bytes / 1024 / 1024)} MiB`;
}
