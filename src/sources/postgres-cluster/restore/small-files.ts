import { constants } from 'node:fs';
import { mkdir, open, readdir, rename, unlink } from 'node:fs/promises';
import type { Areas } from './areas.ts';
import type { ConfReader } from './effective.ts';
import { writeFailure } from './failure.ts';
import { directoriesAbove } from './layout.ts';
import type { FileOwner } from './options.ts';

const { O_CREAT, O_EXCL, O_NOFOLLOW, O_WRONLY, O_RDONLY, O_NONBLOCK, O_DIRECTORY } = constants;
const largest = 4 * 1024 * 1024;

/** Small files of the restored directory, read and written from the main thread. */
export class SmallFiles implements ConfReader {
  readonly #areas: Areas;
  readonly #target: string;
  readonly #owner: FileOwner | null;

  constructor(areas: Areas, target: string, owner: FileOwner | null) {
    this.#areas = areas;
    this.#target = target;
    this.#owner = owner;
  }

  /** In the place of what is there; durable but for its name when it resolves. */
  async put(path: string, bytes: Uint8Array | string, mode = 0o600): Promise<void> {
    await this.#attempt(path, async () => {
      const location = this.#areas.location(path);
      await unlink(location).catch(ignoreMissing);
      await using file = await open(location, O_CREAT | O_EXCL | O_NOFOLLOW | O_WRONLY, 0o600);
      await file.writeFile(bytes);
      if (this.#owner !== null) await file.chown(this.#owner.uid, this.#owner.gid);
      await file.chmod(mode);
      await file.sync();
    });
  }

  /** As `put`, whole or not at all whatever happens meanwhile, and durable with its name. */
  async putAtOnce(path: string, bytes: Uint8Array | string, mode = 0o600): Promise<void> {
    const temporary = `${path}.holdfast`;
    await this.put(temporary, bytes, mode);
    await this.#attempt(path, async () => {
      await rename(this.#areas.location(temporary), this.#areas.location(path));
      await this.#flushAbove(path);
    });
  }

  /** With its name, durably. */
  async remove(path: string): Promise<void> {
    await this.#attempt(path, async () => {
      await unlink(this.#areas.location(path)).catch(ignoreMissing);
      await this.#flushAbove(path);
    });
  }

  /** Null where there is no ordinary file. */
  async file(path: string): Promise<string | null> {
    try {
      await using file = await open(this.#areas.location(path), O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
      const info = await file.stat();
      return info.isFile() && info.size <= largest ? await file.readFile('utf8') : null;
    } catch {
      return null;
    }
  }

  async directory(path: string): Promise<readonly string[] | null> {
    return await readdir(this.#areas.location(path).toString()).catch(() => null);
  }

  /** Makes a directory and those above it; gives those that were not there. */
  async makeDirectory(path: string): Promise<string[]> {
    const made: string[] = [];
    for (const one of [...directoriesAbove(path), path])
      await this.#attempt(one, async () => {
        await mkdir(this.#areas.location(one), { mode: 0o700 }).then(
          () => made.push(one),
          (error: NodeJS.ErrnoException) => {
            if (error.code !== 'EEXIST') throw error;
          },
        );
      });
    return made;
  }

  async #flushAbove(path: string): Promise<void> {
    const above = directoriesAbove(path).at(-1);
    const location = above === undefined ? this.#areas.of(null).base : this.#areas.location(above);
    await using directory = await open(location, O_RDONLY | O_DIRECTORY);
    await directory.sync();
  }

  async #attempt(path: string, work: () => Promise<unknown>): Promise<void> {
    try {
      await work();
    } catch (error) {
      throw writeFailure(this.#areas.spot(path).shown, error, this.#target);
    }
  }
}

function ignoreMissing(error: NodeJS.ErrnoException): void {
  if (error.code !== 'ENOENT') throw error;
}
