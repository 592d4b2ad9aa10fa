import {
  closeSync,
  type BigIntStats,
  constants,
  lstatSync,
  opendirSync,
  openSync,
  realpathSync,
} from 'node:fs';
import { getSystemErrorMessage } from 'node:util';
import { pathText } from '../../../kernel/byte-path.ts';
import { failure } from '../../../kernel/errors/failure.ts';
import { comparePaths, topPath } from '../path-order.ts';

/** A path that is backed up. */
export interface Root {
  /** As it was given. */
  readonly given: string;
  /** Where that really is, links resolved: absolute, written as `pathText` does. */
  readonly path: string;
  /** The path of its entry. */
  readonly at: string;
  readonly isDirectory: boolean;
}

export interface MissingRoot {
  readonly given: string;
  readonly reason: string;
}

export interface Roots {
  /** In the order of their entries; at least one. */
  readonly found: readonly Root[];
  readonly missing: readonly MissingRoot[];
}

/**
 * Looks for the paths of a source. A path that is a symbolic link stands for what it leads to. `files_paths_missing` when
 * none is there, `files_paths_overlap` when one lies in another.
 */
export function findRoots(paths: readonly string[], oneFileSystem: boolean): Roots {
  const given = [...new Set(paths.map((path) => path.replace(/(?<=.)\/+$/, '')))];
  const missing: MissingRoot[] = [];
  const found: (Root & { readonly device: bigint })[] = [];
  for (const { path, name } of named(given)) {
    try {
      const real = realpathSync(Buffer.from(path), 'buffer');
      const stats = lookAt(real);
      const isDirectory = stats.isDirectory();
      const at = given.length === 1 && isDirectory ? topPath : name;
      found.push({ given: path, path: pathText(real), at, isDirectory, device: stats.dev });
    } catch (error) {
      const { errno, message } = error as NodeJS.ErrnoException;
      missing.push({ given: path, reason: errno === undefined ? message : getSystemErrorMessage(errno) });
    }
  }
  const [first] = missing;
  if (found.length === 0) {
    const [path, reason] = [first?.given ?? '', first?.reason ?? ''];
    const what =
      missing.length === 1
        ? 'its only path cannot be read'
        : `none of its ${missing.length} paths can be read`;
    throw failure('files_paths_missing', { what, path, reason });
  }
  for (const one of found) {
    for (const other of found) {
      const inside = one !== other && `${one.path}/`.startsWith(`${other.path.replace(/^\/$/, '')}/`);
      if (inside && !(oneFileSystem && one.device !== other.device))
        throw failure('files_paths_overlap', { inner: one.given, outer: other.given });
    }
  }
  return { found: found.toSorted((one, other) => comparePaths(one.at, other.at)), missing };
}

/** Throws unless it can be read. `access` would answer for the user alone, without capabilities the process has beside. */
function lookAt(path: Buffer): BigIntStats {
  const stats = lstatSync(path, { bigint: true });
  if (stats.isDirectory()) opendirSync(path).closeSync();
  else if (stats.isFile()) closeSync(openSync(path, constants.O_RDONLY | constants.O_NONBLOCK));
  else throw new Error('it is neither a directory nor a file');
  return stats;
}

/** Gives each path the name its entry has: its last part, and `-2`, `-3` … where another has that already. */
function named(paths: readonly string[]): { readonly path: string; readonly name: string }[] {
  const taken = new Set<string>();
  return paths.map((path) => {
    const last = pathText(Buffer.from(path.slice(path.lastIndexOf('/') + 1))) || 'root';
    let name = last;
    for (let number = 2; taken.has(name); number += 1) name = `${last}-${number}`;
    taken.add(name);
    return { path, name };
  });
}
