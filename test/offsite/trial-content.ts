import assert from 'node:assert/strict';
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { patternedBytes } from '../../testing/bytes.ts';

/** A tree's files, by name: which content of the pool each has. */
export type TreeState = ReadonlyMap<string, number>;

const poolSize = 160;
/** Contents in use at a time: what falls out of use is unneeded some backups later, and comes back for sure. */
const windowSize = 60;
const filesInTree = 24;

/** The bytes of one content of the pool; they do not compress. Some are cut into several chunks. */
export function contentOf(number: number): Buffer {
  return patternedBytes(sizeOf(number), number);
}

export function sizeOf(number: number): number {
  return number % 40 === 7 ? 2_600_000 : 3000 + ((number * 7919) % 90_000);
}

/** Contents that no two trees share take space once for all of them. */
export function bytesOf(states: Iterable<TreeState>): number {
  const contents = new Set([...states].flatMap((state) => [...state.values()]));
  return [...contents].reduce((sum, number) => sum + sizeOf(number), 0);
}

/** A small tree that changes; several of them have much in common. */
export class ChangingTree {
  readonly path: string;
  readonly #random: () => number;
  readonly #state = new Map<string, number>();

  constructor(path: string, random: () => number) {
    this.path = path;
    this.#random = random;
    mkdirSync(path);
    this.#change(filesInTree, 0);
  }

  /** A copy, for keeping. */
  get state(): TreeState {
    return new Map(this.#state);
  }

  /** `phase`: how often the window has moved on; the same number for all trees at a time. */
  change(phase: number): void {
    this.#change(1 + Math.floor(this.#random() * 6), phase);
  }

  #change(count: number, phase: number): void {
    for (let done = 0; done < count; done += 1) {
      const isFirst = this.#state.size < filesInTree;
      const name = `f${isFirst ? this.#state.size : Math.floor(this.#random() * filesInTree)}`;
      const number = (phase * 11 + Math.floor(this.#random() * windowSize)) % poolSize;
      // Anew, as whoever looks at times and inodes must see it.
      rmSync(join(this.path, name), { force: true });
      writeFileSync(join(this.path, name), contentOf(number));
      this.#state.set(name, number);
    }
  }
}

/** That a directory has these files, byte for byte, and no others. */
export function assertTree(directory: string, state: TreeState, what: string): void {
  assert.deepEqual(readdirSync(directory).toSorted(), [...state.keys()].toSorted(), what);
  for (const [name, number] of state)
    assert.ok(readFileSync(join(directory, name)).equals(contentOf(number)), `${what}: ${name} differs`);
}
