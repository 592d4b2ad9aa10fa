import { type BigIntStats, lstatSync, readlinkSync } from 'node:fs';
import { pathBytes, pathText } from '../../../kernel/byte-path.ts';
import { type DirectoryNames, listDirectory, type NameRoom } from './directory-names.ts';
import { pathIn } from '../path-order.ts';
import { Patterns } from './patterns.ts';
import type { Root } from './roots.ts';
import { hasHoles, sharedId } from './stats.ts';
import { isRepository, kernelFileSystem, markedAsCache, readSmallFile } from './special-directories.ts';

export interface ScanOptions {
  readonly roots: readonly Root[];
  readonly exclude: readonly string[];
  readonly include: readonly string[];
  /** Empty: none. */
  readonly ignoreFile: string;
  readonly excludeCaches: boolean;
  readonly oneFileSystem: boolean;
  /** Directories with more names than this are sorted on disk. */
  readonly namesInMemory: number;
}

interface ScannedCommon {
  /** Of the entry. */
  readonly path: string;
  /** The lower twelve bits. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  /** Nanoseconds since 1970, like every time here. */
  readonly mtime: string;
}

export interface ScannedFile extends ScannedCommon {
  readonly kind: 'file';
  readonly ctime: string;
  readonly inode: string;
  readonly size: number;
  /** It has holes. */
  readonly sparse: boolean;
  /** Present when the file has several names: what tells it from every other file, and how many they are. */
  readonly shared?: { readonly id: string; readonly names: number };
}

export type Scanned =
  | ScannedFile
  | (ScannedCommon & { readonly kind: 'directory' })
  | (ScannedCommon & { readonly kind: 'symlink'; readonly target: string });

/** Something that is not in the backup, or not as it should be. */
export interface ScanNote {
  readonly what: 'unreadable' | 'vanished' | 'left_out' | 'repository' | 'kernel' | 'ignore_file';
  readonly path: string;
  /** An errno, or the kind of thing it is. */
  readonly reason: string;
}

/** Things found, in the order of their entries, all below one root. */
export interface ScanBatch {
  readonly root: number;
  readonly found: readonly Scanned[];
  readonly notes: readonly ScanNote[];
}

const batchSize = 1024;
const cacheTag = 'CACHEDIR.TAG';

/** Goes through the trees, directories before what is in them, and that in the order of the bytes of its names. */
export function* scan(options: ScanOptions): Generator<ScanBatch, void, void> {
  for (const [index, root] of options.roots.entries()) yield* new RootScan(options, index, root).run();
}

/** A directory that is being gone through. */
interface Level {
  readonly bytes: Buffer;
  readonly path: string;
  /** Relative to the root, for patterns: empty, or ending in a slash. */
  readonly within: string;
  readonly names: DirectoryNames;
  readonly ignored: Patterns | undefined;
  readonly device: bigint;
}

class RootScan {
  readonly #options: ScanOptions;
  readonly #index: number;
  readonly #root: Root;
  readonly #exclude: Patterns | undefined;
  readonly #include: Patterns | undefined;
  readonly #lookFor: ReadonlySet<string>;
  readonly #room: NameRoom;
  readonly #levels: Level[] = [];
  #found: Scanned[] = [];
  #notes: ScanNote[] = [];

  constructor(options: ScanOptions, index: number, root: Root) {
    this.#options = options;
    this.#index = index;
    this.#root = root;
    this.#exclude = Patterns.of(options.exclude);
    this.#include = Patterns.of(options.include);
    this.#lookFor = new Set(['holdfast.json', cacheTag, options.ignoreFile]);
    this.#room = { left: options.namesInMemory };
  }

  *run(): Generator<ScanBatch, void, void> {
    const bytes = pathBytes(this.#root.path);
    const stats = this.#look(bytes, this.#root.at);
    try {
      if (stats?.isDirectory() === true) this.#enter(bytes, this.#root.at, '', stats);
      else if (stats !== undefined) this.#add(bytes, this.#root.at, stats);
      for (let level = this.#levels.at(-1); level !== undefined; level = this.#levels.at(-1)) {
        const name = level.names.next();
        if (name === undefined) this.#levels.pop()?.names[Symbol.dispose]();
        else this.#visit(level, name);
        if (this.#found.length >= batchSize || this.#notes.length >= batchSize) yield this.#takeBatch();
      }
    } finally {
      for (const level of this.#levels) level.names[Symbol.dispose]();
    }
    yield this.#takeBatch();
  }

  #takeBatch(): ScanBatch {
    const batch = { root: this.#index, found: this.#found, notes: this.#notes };
    this.#found = [];
    this.#notes = [];
    return batch;
  }

  #visit(level: Level, name: Buffer): void {
    const bytes = Buffer.concat([level.bytes, slash, name]);
    const path = pathIn(level.path, pathText(name));
    const stats = this.#look(bytes, path);
    if (stats === undefined) return;
    // Patterns are for names that can be read: what is no text in a name matches only wildcards.
    const within = level.within + name.toString();
    if (this.#isExcluded(level, stats.isDirectory() ? `${within}/` : within, stats)) return;
    if (!stats.isDirectory()) this.#add(bytes, path, stats);
    else this.#enter(bytes, path, `${within}/`, stats, level);
  }

  #isExcluded(level: Level, within: string, stats: BigIntStats): boolean {
    if (this.#exclude?.match(within) === true || level.ignored?.match(within) === true) return true;
    if (stats.isDirectory()) return false;
    return this.#include?.match(within) === false;
  }

  #look(bytes: Buffer, path: string): BigIntStats | undefined {
    return this.#attempt(path, () => lstatSync(bytes, { bigint: true }));
  }

  /** What is not there any more, or cannot be read, becomes a note. */
  #attempt<T>(path: string, work: () => T): T | undefined {
    try {
      return work();
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code === undefined || !/^E[A-Z]/.test(code) || code.startsWith('ERR_')) throw error;
      const what = code === 'ENOENT' || code === 'ENOTDIR' ? 'vanished' : 'unreadable';
      this.#notes.push({ what, path, reason: code });
      return undefined;
    }
  }

  #enter(bytes: Buffer, path: string, within: string, stats: BigIntStats, outer?: Level): void {
    const directory = { kind: 'directory', ...common(path, stats) } as const;
    if (stats.dev !== outer?.device) {
      const kernel = kernelFileSystem(bytes);
      if (kernel !== undefined) this.#notes.push({ what: 'kernel', path, reason: kernel });
      const elsewhere = outer !== undefined && this.#options.oneFileSystem;
      if (elsewhere || kernel !== undefined) return void this.#found.push(directory);
    }
    const names = this.#list(bytes, path, stats);
    if (names === undefined) return;
    if (names.seen.has('holdfast.json') && isRepository(bytes)) {
      names[Symbol.dispose]();
      return void this.#notes.push({ what: 'repository', path, reason: '' });
    }
    this.#found.push(directory);
    if (this.#options.excludeCaches && names.seen.has(cacheTag) && markedAsCache(bytes)) {
      names[Symbol.dispose]();
      return this.#addOnly(cacheTag, bytes, path);
    }
    const ignored = names.seen.has(this.#options.ignoreFile)
      ? this.#withIgnoreFile(bytes, path, within, outer?.ignored)
      : outer?.ignored;
    this.#levels.push({ bytes, path, within, names, ignored, device: stats.dev });
  }

  #list(bytes: Buffer, path: string, stats: BigIntStats): DirectoryNames | undefined {
    const names = this.#attempt(path, () => listDirectory(bytes, this.#room, this.#lookFor));
    // A link put in its place meanwhile would have been followed.
    const again = names === undefined ? undefined : this.#look(bytes, path);
    if (again?.isDirectory() === true && again.ino === stats.ino && again.dev === stats.dev) return names;
    names?.[Symbol.dispose]();
    if (again !== undefined) this.#notes.push({ what: 'vanished', path, reason: 'replaced' });
    return undefined;
  }

  #addOnly(name: string, directory: Buffer, directoryPath: string): void {
    const bytes = Buffer.concat([directory, slash, Buffer.from(name)]);
    const path = pathIn(directoryPath, name);
    const stats = this.#look(bytes, path);
    if (stats !== undefined) this.#add(bytes, path, stats);
  }

  #withIgnoreFile(
    directory: Buffer,
    path: string,
    within: string,
    outer: Patterns | undefined,
  ): Patterns | undefined {
    const { ignoreFile } = this.#options;
    try {
      const text = readSmallFile(Buffer.concat([directory, slash, Buffer.from(ignoreFile)]));
      return Patterns.within(outer, within, text);
    } catch (error) {
      const reason = (error as NodeJS.ErrnoException).code ?? (error as Error).message;
      this.#notes.push({ what: 'ignore_file', path: pathIn(path, ignoreFile), reason });
      return outer;
    }
  }

  #add(bytes: Buffer, path: string, stats: BigIntStats): void {
    if (stats.isFile()) {
      this.#found.push(scannedFile(path, stats));
    } else if (stats.isSymbolicLink()) {
      const target = this.#attempt(path, () => readlinkSync(bytes, 'buffer'));
      if (target !== undefined)
        this.#found.push({ kind: 'symlink', ...common(path, stats), target: pathText(target) });
    } else {
      const reason = stats.isSocket() ? 'socket' : stats.isFIFO() ? 'pipe' : 'device';
      this.#notes.push({ what: 'left_out', path, reason });
    }
  }
}

const slash = Buffer.from('/');

function common(path: string, stats: BigIntStats): ScannedCommon {
  return {
    path,
    mode: Number(stats.mode & 0o7777n),
    uid: Number(stats.uid),
    gid: Number(stats.gid),
    mtime: String(stats.mtimeNs),
  };
}

function scannedFile(path: string, stats: BigIntStats): ScannedFile {
  const { nlink, ino, size } = stats;
  const id = sharedId(stats);
  return {
    kind: 'file',
    ...common(path, stats),
    ctime: String(stats.ctimeNs),
    inode: String(ino),
    size: Number(size),
    sparse: hasHoles(stats),
    ...(id === undefined ? {} : { shared: { id, names: Number(nlink) } }),
  };
}
