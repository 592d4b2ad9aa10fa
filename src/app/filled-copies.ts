import { hash, randomBytes } from 'node:crypto';
import { mkdir, open, readFile, rename, rm, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { failure, reasonOf } from '../kernel/errors/failure.ts';
import { parseLocation } from '../storage/open.ts';
import type { App } from './compose.ts';
import type { Place } from './places.ts';

/**
 * Remembers on this machine which copies have been filled. A copy that was and is empty now is not there, most likely: a
 * disk that is not mounted, a directory that was renamed. To fill what lies in its stead is for whoever says so.
 */
export class FilledCopy {
  readonly #app: App;
  readonly #place: Place;
  readonly #path: string;

  constructor(app: App, repository: string, place: Place) {
    this.#app = app;
    this.#place = place;
    const tag = hash('sha256', `${place.name}\0${whereOf(app, place)}`, 'hex').slice(0, 16);
    this.#path = join(app.directories.state, 'copies', `${repository}-${tag}.json`);
  }

  /** Throws `copy_gone` when this copy was filled before: it is asked of one that is empty. */
  async assertNew(): Promise<void> {
    try {
      await readFile(this.#path);
    } catch {
      return;
    }
    const { name, location } = this.#place;
    throw failure('copy_gone', { name, location });
  }

  /** Throws `copy_no_parent` when the place is a directory and what it is to lie in is not there. */
  async assertParent(): Promise<void> {
    const { cwd, home } = this.#app.machine;
    const parsed = parseLocation(this.#place.location, { cwd, home });
    if (parsed.scheme !== 'file') return;
    const parent = dirname(parsed.directory);
    try {
      await stat(parent);
    } catch (error) {
      // Any other trouble is met, and named, by whoever makes the place.
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') return;
      throw failure('copy_no_parent', { location: parsed.directory, parent });
    }
  }

  /** That it cannot be remembered is no failure: it protects, and must not stop a sync. */
  async remember(): Promise<void> {
    const passing = `${this.#path}.${randomBytes(4).toString('hex')}`;
    const { name } = this.#place;
    try {
      if (await isThere(this.#path)) return;
      await mkdir(dirname(this.#path), { recursive: true, mode: 0o700 });
      {
        await using file = await open(passing, 'wx', 0o600);
        await file.writeFile(
          `${JSON.stringify({ schema: 1, name, location: whereOf(this.#app, this.#place) })}\n`,
        );
        await file.sync();
      }
      await rename(passing, this.#path);
    } catch (error) {
      await rm(passing, { force: true }).catch(() => {}); // What hinders the one hinders the other.
      const facts = { copy: name, path: this.#path, reason: reasonOf(error) };
      this.#app.log.warn('that a copy was filled cannot be remembered', facts);
    }
  }
}

async function isThere(path: string): Promise<boolean> {
  return await stat(path).then(
    () => true,
    () => false,
  );
}

/** A path as it is from the root, so that it is the same wherever a command is called. */
function whereOf({ machine: { cwd, home } }: App, { location }: Place): string {
  const parsed = parseLocation(location, { cwd, home });
  return parsed.scheme === 'file' ? parsed.directory : location;
}
