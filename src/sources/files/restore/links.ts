import { link, lstat } from 'node:fs/promises';
import { damagedEntries, writing } from './failure.ts';
import { allSettled } from '../../flight.ts';
import { locationBytes, locationOf, shownLocation } from './location.ts';
import type { Staging } from './staging.ts';
import { parentOf } from './walk.ts';

export interface NameToLink {
  readonly path: string;
  /** The path at which the file is, of which this becomes another name. */
  readonly target: string;
}

const linksAtOnce = 128;

/** Gives files their further names, once they are all written. */
export class LinkWriter {
  readonly #staging: Staging;
  #names: NameToLink[] = [];
  /** Directories that were made here, and are no links to elsewhere. */
  #real = new Set<string>();

  constructor(staging: Staging) {
    this.#staging = staging;
  }

  async add(name: NameToLink): Promise<void> {
    this.#names.push(name);
    if (this.#names.length >= linksAtOnce) await this.flush();
  }

  async flush(): Promise<void> {
    const names = this.#names;
    this.#names = [];
    this.#staging.context.signal.throwIfAborted();
    const { base, shown } = this.#staging;
    for (const { path, target } of names) await this.#checkTarget(path, target);
    await allSettled(
      names.map(({ path, target }) =>
        writing(shownLocation(shown, path), () => link(locationOf(base, target), locationOf(base, path))),
      ),
    );
  }

  /** A target that leads through a symbolic link would be a file outside, which this must not have. */
  async #checkTarget(path: string, target: string): Promise<void> {
    const { base } = this.#staging;
    for (let above = parentOf(target); above !== '.'; above = parentOf(above)) {
      if (this.#real.has(above)) break;
      const directory = await lstat(locationBytes(base, above)).catch(() => undefined);
      if (directory?.isDirectory() !== true)
        throw damagedEntries(`${path} is a name of ${target}, which is no file`);
      if (this.#real.size > 10_000) this.#real = new Set();
      this.#real.add(above);
    }
    const file = await lstat(locationBytes(base, target)).catch(() => undefined);
    if (file?.isFile() !== true) throw damagedEntries(`${path} is a name of ${target}, which is no file`);
  }
}
