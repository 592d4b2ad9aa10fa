import { dirname } from 'node:path';
import type { FsCalls } from './calls.ts';
import { errnoOf } from './errors.ts';

/** Directories remembered at most; beyond that they are checked again. */
const maxKnown = 4096;

/**
 * Makes the entries of a directory survive a power cut. Some file systems (FAT, CIFS, some FUSE ones) cannot
 * flush a directory and say EINVAL or ENOTSUP: there is nothing more a program can do there.
 */
export async function syncDirectory(calls: FsCalls, path: string): Promise<void> {
  await using handle = await calls.open(path, 'r');
  try {
    await handle.sync();
  } catch (error) {
    const errno = errnoOf(error);
    if (errno !== 'EINVAL' && errno !== 'ENOTSUP' && errno !== 'EOPNOTSUPP') throw error;
  }
}

/** Makes `path` a directory unless something is there; true when this call made it. Its parent must exist. */
export async function makeDirectory(calls: FsCalls, path: string, mode: number): Promise<boolean> {
  try {
    await calls.mkdir(path, mode);
    return true;
  } catch (error) {
    // Another process may have been faster. A file in its place shows at the next step, as ENOTDIR.
    if (errnoOf(error) !== 'EEXIST') throw error;
    return false;
  }
}

/**
 * The directories below one root that are known to be there for good.
 *
 * A directory that another process made a moment ago may not be durable yet, so on first use each one's
 * parent is flushed, whoever made it.
 */
export class DurableDirectories {
  readonly #calls: FsCalls;
  readonly #root: string;
  readonly #known = new Set<string>();

  constructor(calls: FsCalls, root: string) {
    this.#calls = calls;
    this.#root = root;
  }

  /** Makes `path` (the root or below it) and every directory on the way, mode 0700, durably. */
  async ensure(path: string): Promise<void> {
    if (path === this.#root || this.#known.has(path)) return;
    const parent = dirname(path);
    await this.ensure(parent);
    await makeDirectory(this.#calls, path, 0o700);
    await syncDirectory(this.#calls, parent);
    if (this.#known.size >= maxKnown) this.#known.clear();
    this.#known.add(path);
  }

  /** To be called when a directory turned out to be gone. */
  forget(): void {
    this.#known.clear();
  }
}
