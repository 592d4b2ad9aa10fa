import { lstat } from 'node:fs/promises';
import { failure } from '../../../kernel/errors/failure.ts';
import { locationBytes, shownLocation } from './location.ts';
import { isMountPoint, type MountPoints, mountPoints } from './mounts.ts';
import { checkNoMount, unusable } from './target.ts';

/** Where in a target that is not empty something goes. */
export interface Destination {
  /**
   * What is moved there: the path itself, or the first directory on the way to it that the target does not have, which
   * takes along all that is chosen in it.
   */
  readonly path: string;
  /** Something is there, and has to make way. */
  readonly taken: boolean;
}

/** Finds out where chosen paths go in a target. */
export class Destinations {
  readonly #target: string;
  readonly #force: boolean;
  #device: number | undefined;
  #mounts: Promise<MountPoints> | undefined;
  #lastReal = '';

  constructor(target: string, force: boolean) {
    this.#target = target;
    this.#force = force;
  }

  /**
   * Throws `restore_target_exists` for what is there already and may not be replaced, `restore_target_unusable` where the
   * way to it is no directory of the target, or leads out of it, and for what has something mounted in it.
   */
  async of(path: string): Promise<Destination> {
    const parts = path.split('/');
    for (let count = 1; count < parts.length; count += 1) {
      const above = parts.slice(0, count).join('/');
      if (this.#lastReal === above || this.#lastReal.startsWith(`${above}/`)) continue;
      if (!(await this.#isDirectory(above))) return { path: above, taken: false };
      this.#lastReal = above;
    }
    const taken = (await this.#look(path)) !== undefined;
    if (taken && !this.#force)
      throw failure('restore_target_exists', { target: shownLocation(this.#target, path), detail: '' });
    if (taken) await checkNoMount(locationBytes(this.#target, path), this.#target, await this.#mountPoints());
    return { path, taken };
  }

  async #mountPoints(): Promise<MountPoints> {
    this.#mounts ??= mountPoints(this.#target);
    return await this.#mounts;
  }

  async #isDirectory(path: string): Promise<boolean> {
    const found = await this.#look(path);
    if (found === undefined) return false;
    const shown = shownLocation(this.#target, path);
    const mend = 'restore to another place, and move what you want from there';
    if (!found.isDirectory())
      throw unusable(this.#target, `${shown} is no directory (links are not followed)`, mend);
    this.#device ??= (await lstat(this.#target)).dev;
    const mounted = isMountPoint(locationBytes(this.#target, path), await this.#mountPoints());
    if (found.dev !== this.#device || mounted)
      throw unusable(this.#target, `${shown} is another file system`, mend);
    return true;
  }

  async #look(path: string) {
    try {
      return await lstat(locationBytes(this.#target, path));
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
      throw error;
    }
  }
}
