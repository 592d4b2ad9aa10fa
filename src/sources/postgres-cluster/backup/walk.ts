import type { BigIntStats } from 'node:fs';
import { lstat, readdir, readlink, stat } from 'node:fs/promises';
import { pathBytes, pathText } from '../../../kernel/byte-path.ts';
import { failure } from '../../../kernel/errors/failure.ts';
import { parseRelationPath, topDirectories } from '../../../postgres/data-directory.ts';
import { unreadable } from './directory.ts';
import { comparePaths } from './path-order.ts';
import { isEmptied, leftOutOf } from './skip.ts';

/** Something in the data directory that belongs into the backup. */
export interface Found {
  /** In the data directory, as `pathText` writes it. */
  readonly path: string;
  readonly kind: 'directory' | 'file' | 'relation';
  /** Bytes; 0 for a directory. */
  readonly size: number;
  /** Nanoseconds since 1970. */
  readonly mtimeNs: bigint;
  readonly inode: string;
  readonly mode: number;
}

export interface WalkOptions {
  readonly dataDirectory: string;
  /** The directory of this version in each tablespace. */
  readonly versionDirectory: string;
  readonly signal: AbortSignal;
  /** What is not in the backup and should be: path, and why. */
  readonly onLeftOut: (path: string, reason: string) => void;
  /** What is not in the backup and need not be. */
  readonly onSkipped: (path: string, reason: string) => void;
}

/** So many files are looked at together. */
const lookedAtOnce = 64;
/** Directories where the server may be told to write its log. */
export const logDirectories: ReadonlySet<string> = new Set(['log', 'pg_log']);

interface Item {
  readonly name: string;
  readonly stats: BigIntStats;
  readonly link: string | null;
}

/** The place of something in the data directory. */
export function placeOf(dataDirectory: string, path: string): Buffer {
  return Buffer.concat([Buffer.from(`${dataDirectory}/`), pathBytes(path)]);
}

/**
 * Goes through a data directory in ascending order of the bytes of the paths, one directory in memory at a time, leaving
 * out what a server does not need. What vanishes meanwhile is passed over: that is normal.
 * `cluster_symlink`, `cluster_directory_unreadable`.
 */
export class ClusterWalk {
  readonly #options: WalkOptions;

  constructor(options: WalkOptions) {
    this.#options = options;
  }

  async *found(): AsyncGenerator<Found, void, void> {
    yield* this.#inside('');
  }

  async *#inside(directory: string): AsyncGenerator<Found, void, void> {
    const names = await this.#names(directory);
    const isLeftOut = leftOutOf(directory, names);
    // A directory stands in the order twice: itself, and with a slash what is in it. `a`, `a.b`, `a/b`.
    const inside = new Set<string>();
    const wanted = names.filter((name) => !isLeftOut(name)).toSorted(comparePaths);
    const ready: Found[] = [];
    for (let at = 0; at < wanted.length; at += lookedAtOnce) {
      this.#options.signal.throwIfAborted();
      const items = await Promise.all(
        wanted.slice(at, at + lookedAtOnce).map((name) => this.#look(directory, name)),
      );
      for (const item of items) {
        if (item === undefined) continue;
        const found = this.#classify(directory, item);
        if (found === undefined) continue;
        for (const name of dueBefore(inside, item.name)) {
          yield* ready.splice(0);
          yield* this.#inside(joined(directory, name));
        }
        ready.push(found);
        if (found.kind === 'directory' && !isEmptied(found.path)) inside.add(item.name);
      }
      yield* ready.splice(0);
    }
    for (const name of dueBefore(inside, null)) yield* this.#inside(joined(directory, name));
  }

  async #names(directory: string): Promise<string[]> {
    const place = placeOf(this.#options.dataDirectory, directory);
    try {
      const names = await readdir(place, { encoding: 'buffer' });
      const texts = names.map((name) => pathText(name));
      // Only what this version has put into a tablespace is of this cluster.
      const isTablespace = /^pg_tblspc\/\d+$/.test(directory);
      return isTablespace ? texts.filter((name) => name === this.#options.versionDirectory) : texts;
    } catch (error) {
      if (isGone(error) && directory !== '' && !topDirectories.has(directory)) return [];
      throw unreadable(place.toString(), error);
    }
  }

  /** Undefined for what has vanished. */
  async #look(directory: string, name: string): Promise<Item | undefined> {
    const path = joined(directory, name);
    const place = placeOf(this.#options.dataDirectory, path);
    try {
      const stats = await lstat(place, { bigint: true });
      if (!stats.isSymbolicLink()) return { name, stats, link: null };
      const link = pathText(await readlink(place, { encoding: 'buffer' }));
      return mayBeLink(path)
        ? { name, stats: await stat(place, { bigint: true }), link }
        : { name, stats, link };
    } catch (error) {
      if (isGone(error) && path !== 'pg_wal') return undefined;
      throw unreadable(place.toString(), error);
    }
  }

  #classify(directory: string, { name, stats, link }: Item): Found | undefined {
    const path = joined(directory, name);
    if (stats.isDirectory()) return foundAt(path, 'directory', stats);
    if (stats.isFile()) return foundAt(path, parseRelationPath(path) ? 'relation' : 'file', stats);
    if (link === null) {
      // A server may have its sockets in here; it makes them when it starts.
      if (stats.isSocket()) this.#options.onSkipped(path, 'it is a socket');
      else this.#options.onLeftOut(path, 'it is neither a file nor a directory');
      return undefined;
    }
    const [top = ''] = path.split('/');
    if (topDirectories.has(top)) throw failure('cluster_symlink', { path, target: link });
    if (logDirectories.has(path)) this.#options.onSkipped(path, `it is a link to ${link}`);
    else this.#options.onLeftOut(path, `it is a symbolic link to ${link}`);
    return undefined;
  }
}

/** Takes out the directories whose content comes before a name, in order; all for null. */
function dueBefore(inside: Set<string>, name: string | null): readonly string[] {
  if (inside.size === 0) return [];
  const due = [...inside].filter((one) => name === null || comparePaths(`${one}/`, name) < 0);
  for (const one of due) inside.delete(one);
  return due.toSorted((a, b) => comparePaths(`${a}/`, `${b}/`));
}

/** Links that a server, or its administrator, makes on purpose. */
function mayBeLink(path: string): boolean {
  return path === 'pg_wal' || isEmptied(path) || /^pg_tblspc\/\d+$/.test(path);
}

function foundAt(path: string, kind: Found['kind'], stats: BigIntStats): Found {
  return {
    path,
    kind,
    size: kind === 'directory' ? 0 : Number(stats.size),
    mtimeNs: stats.mtimeNs,
    inode: String(stats.ino),
    mode: Number(stats.mode & 0o7777n),
  };
}

function joined(directory: string, name: string): string {
  return directory === '' ? name : `${directory}/${name}`;
}

function isGone(error: unknown): boolean {
  const { code } = error as NodeJS.ErrnoException;
  return code === 'ENOENT' || code === 'ENOTDIR';
}
