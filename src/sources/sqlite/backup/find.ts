import { glob, realpath, stat } from 'node:fs/promises';
import { matchesGlob, sep } from 'node:path';
import { failure, isFailure, type HoldfastError } from '../../../kernel/errors/failure.ts';
import { firstBytes } from '../look.ts';
import { sidecars } from '../identity.ts';
import { readFailure } from '../sqlite-errors.ts';

/** A file that should be a database. */
export interface Found {
  /** As it was named or matched; absolute. */
  readonly path: string;
  /** Where it is, symbolic links followed: what lies beside a database lies there. */
  readonly file: string;
  readonly sizeBytes: number;
}

export interface Finds {
  /** In the order of their paths, each file once. */
  readonly databases: readonly Found[];
  /** What was named and cannot be backed up. */
  readonly failed: readonly { readonly path: string; readonly error: HoldfastError }[];
  readonly warnings: readonly HoldfastError[];
}

interface Options {
  readonly paths: readonly string[];
  readonly exclude: readonly string[];
}

/** Finds the databases that paths and patterns mean. Throws `sqlite_none_found` when they mean nothing at all. */
export async function findDatabases({ paths, exclude }: Options, signal: AbortSignal): Promise<Finds> {
  const search = new Search(exclude);
  for (const path of paths) {
    signal.throwIfAborted();
    await search.add(path, signal);
  }
  const finds = search.result();
  const isNothing =
    finds.databases.length === 0 &&
    finds.failed.every(({ error }) => isFailure(error, 'sqlite_path_matches_nothing'));
  if (isNothing) throw failure('sqlite_none_found', { paths: paths.join(', ') });
  return finds;
}

class Search {
  readonly #exclude: readonly string[];
  readonly #byFile = new Map<string, Found>();
  readonly #failed = new Map<string, HoldfastError>();
  readonly #warnings = new Map<string, HoldfastError>();

  constructor(exclude: readonly string[]) {
    this.#exclude = exclude;
  }

  /** A path that is there means itself, whatever characters are in it. */
  async add(path: string, signal: AbortSignal): Promise<void> {
    let matched = await this.#addFile(path, true);
    if (!matched && isPattern(path)) {
      for await (const match of glob(path)) {
        signal.throwIfAborted();
        if (this.#isExcluded(match)) continue;
        matched = (await this.#addFile(match, false)) || matched;
      }
    }
    if (!matched) this.#failed.set(path, failure('sqlite_path_matches_nothing', { path }));
  }

  result(): Finds {
    const failed = [...this.#failed].map(([path, error]) => ({ path, error }));
    return {
      databases: [...this.#byFile.values()].toSorted((a, b) => compare(a.path, b.path)),
      failed: failed.toSorted((a, b) => compare(a.path, b.path)),
      warnings: [...this.#warnings.values()],
    };
  }

  /** Whether there is something of that name. */
  async #addFile(path: string, isLiteral: boolean): Promise<boolean> {
    try {
      const stats = await stat(path, { bigint: true });
      if (!stats.isFile()) {
        if (isLiteral) this.#failed.set(path, notAFile(path, stats));
        return isLiteral;
      }
      const file = await realpath(path);
      if (await this.#isSidecar(file)) return !isLiteral || this.#warnings.has(file);
      const found = { path, file, sizeBytes: Number(stats.size) };
      // The same file may have several names.
      const key = `${stats.dev}:${stats.ino}`;
      const other = this.#byFile.get(key);
      if (other === undefined || (await precedes(found, other))) this.#byFile.set(key, found);
      return true;
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code === 'ENOENT' || code === 'ENOTDIR' || code === 'ENAMETOOLONG') return false;
      const known = readFailure(path, error, 0);
      if (!isFailure(known)) throw error;
      this.#failed.set(path, known);
      return true;
    }
  }

  /** A log or journal is no database; one without its database is worth a word. */
  async #isSidecar(file: string): Promise<boolean> {
    if (file.includes('.holdfast-restoring-')) return true;
    const ending = sidecars.find((candidate) => file.endsWith(candidate));
    if (ending === undefined || Buffer.from(firstBytes(file, 6)).toString('latin1') === 'SQLite')
      return false;
    const main = await stat(file.slice(0, -ending.length)).catch(() => null);
    const { size } = await stat(file);
    if (main === null && size > 0 && ending !== '-shm')
      this.#warnings.set(file, failure('sqlite_orphan', { file }));
    return true;
  }

  #isExcluded(path: string): boolean {
    return this.#exclude.some(
      (pattern) => path === pattern || path.startsWith(pattern + sep) || matchesGlob(path, pattern),
    );
  }
}

function isPattern(path: string): boolean {
  return /[*?[{]|[!@+]\(/.test(path);
}

/**
 * The name that a program uses comes first, for its log lies beside that one, with what is not in the database yet; then
 * that which is no symbolic link, then the first in order.
 */
async function precedes(a: Found, b: Found): Promise<boolean> {
  const [aHasLog, bHasLog] = [await hasLog(a.file), await hasLog(b.file)];
  if (aHasLog !== bHasLog) return aHasLog;
  const aIsItself = a.path === a.file;
  return aIsItself === (b.path === b.file) ? compare(a.path, b.path) < 0 : aIsItself;
}

async function hasLog(file: string): Promise<boolean> {
  for (const ending of ['-wal', '-journal']) {
    const beside = await stat(file + ending).catch(() => null);
    if (beside !== null && beside.size > 0) return true;
  }
  return false;
}

function compare(a: string, b: string): number {
  return Buffer.compare(Buffer.from(a), Buffer.from(b));
}

function notAFile(file: string, stats: { isDirectory(): boolean; isSocket(): boolean }): HoldfastError {
  const what = stats.isDirectory() ? 'a directory' : stats.isSocket() ? 'a socket' : 'a device or a pipe';
  return failure('sqlite_not_a_file', { file, what });
}
