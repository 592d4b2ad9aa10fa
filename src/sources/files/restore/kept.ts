import { mkdir, readdir, rmdir } from 'node:fs/promises';
import { withSlash } from './location.ts';
import { exchangeName, renameToFree, replacingDirectory, type Target } from './target.ts';

/** What made way for a restore is kept here, under the paths it had in the target. */
export class KeptDirectory {
  readonly #target: Target;
  #path: Buffer;
  /** The directory in it that was made last. */
  #made: Buffer | undefined;

  private constructor(target: Target, path: Buffer) {
    this.#target = target;
    this.#path = path;
  }

  /** Beside the target where that can be, else in it. Its name says that it is in use. */
  static async make(target: Target, token: string): Promise<KeptDirectory> {
    const path = Buffer.from(replacingDirectory(target, token));
    await mkdir(path, { mode: 0o700 });
    return new KeptDirectory(target, path);
  }

  get path(): Buffer {
    return this.#path;
  }

  /** The place for what is at `taken`, a path in the target. Makes the directories that lead to it. */
  async placeFor(taken: Buffer): Promise<Buffer> {
    const below = taken.subarray(withSlash(Buffer.from(this.#target.path)).length);
    const place = Buffer.concat([withSlash(this.#path), below]);
    const above = place.subarray(0, place.lastIndexOf('/'));
    if (this.#made?.equals(above) !== true) await mkdir(above, { recursive: true, mode: 0o700 });
    this.#made = above;
    return place;
  }

  /** Where something is, of that inode, while it changes places with something of the target. */
  between(inode: bigint): Buffer {
    return Buffer.concat([withSlash(this.#path), Buffer.from(exchangeName(inode))]);
  }

  /** Gives it the name under which it stays, and answers what becomes of a path in it. */
  async finish(nowMs: number): Promise<(path: Buffer) => Buffer> {
    const before = this.#path;
    const { path, fixed } = this.#target;
    const beginning = fixed === null ? Buffer.from(path) : withSlash(Buffer.from(path));
    this.#path = await renameToFree(before, beginning, nowMs).catch(() => before);
    return (given) =>
      given.subarray(0, before.length).equals(before)
        ? Buffer.concat([this.#path, given.subarray(before.length)])
        : given;
  }

  /** When nothing is kept in it any more. */
  async remove(): Promise<void> {
    await removeEmpty(this.#path).catch(() => undefined);
  }
}

async function removeEmpty(directory: Buffer): Promise<void> {
  for (const entry of await readdir(directory, { withFileTypes: true, encoding: 'buffer' }))
    if (entry.isDirectory()) await removeEmpty(Buffer.concat([withSlash(directory), entry.name]));
  await rmdir(directory);
}
