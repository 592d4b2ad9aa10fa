import type { GatheredFile } from './gathered-task.ts';
import { laneBytes, type Lane } from './lane.ts';

/** One task stores so many files, at most. */
const mostFiles = 512;

export interface Gathered<T> {
  readonly lane: Lane;
  readonly files: readonly { readonly file: GatheredFile; readonly about: T }[];
}

/** Small files, one behind the other in a lane. */
export class Gathering<T> {
  readonly lane: Lane;
  readonly files: { readonly file: GatheredFile; readonly about: T }[] = [];
  #used = 0;

  constructor(lane: Lane) {
    this.lane = lane;
  }

  hasRoom(bytes: number): boolean {
    return this.files.length < mostFiles && this.#used + bytes <= laneBytes;
  }

  /** Reads a file of so many bytes into its place. */
  async add(
    length: number,
    data: AsyncIterable<Uint8Array>,
    file: Omit<GatheredFile, 'offset' | 'length'>,
    about: T,
  ): Promise<void> {
    const offset = this.#used;
    for await (const piece of data) {
      this.lane.bytes.set(piece, this.#used);
      this.#used += piece.length;
    }
    this.files.push({ file: { ...file, offset, length }, about });
  }
}
