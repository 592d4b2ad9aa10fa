/**
 * Whoever asks which of its blobs are wanted, and is told that one is, has promised to store it: everybody else that has
 * the same blob relies on that from then on.
 */
export interface Promiser {
  /** Nothing is owed any more. */
  readonly isOver: boolean;
  /** Stores what it was told to store and has not. To be called when nobody writes to it any more, finished or not. */
  keepPromises(): Promise<void>;
}

const fewest = 64;

/** The writers of one task or session. */
export class Promisers {
  #all: Promiser[] = [];
  #room = fewest;

  add<T extends Promiser>(promiser: T): T {
    if (this.#all.length >= this.#room) {
      this.#all = this.#all.filter(({ isOver }) => !isOver);
      this.#room = Math.max(fewest, 2 * this.#all.length);
    }
    this.#all.push(promiser);
    return promiser;
  }

  /** Also of those that were given up, be it that their reader failed, or that they were begun anew. */
  async keepPromises(): Promise<void> {
    for (const promiser of this.#all.splice(0)) if (!promiser.isOver) await promiser.keepPromises();
  }
}
