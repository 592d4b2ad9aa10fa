import type { StreamRef } from '../contract/stream.ts';
import type { Extent } from './map.ts';
import type { StoredData } from './stored.ts';

/** A part of an earlier version of a stream, and whether the blob it lies in may be referred to. */
export interface StoredExtent extends Extent {
  readonly present: boolean;
}

/** Walks over the extents of an earlier version from its start to its end, some thousands in memory at a time. */
export class ExtentCursor {
  readonly #stored: StoredData;
  readonly #batches: AsyncGenerator<readonly Extent[], void, void> | undefined;
  #waiting: StoredExtent[] = [];
  /** Of `#waiting`: the first that is not used up, and how many of its bytes are. */
  #next = 0;
  #used = 0;

  constructor(stored: StoredData, stream: StreamRef | null) {
    this.#stored = stored;
    this.#batches = stream === null ? undefined : stored.extents(stream);
  }

  /** What the next `lengthBytes` consist of: less where the earlier version ends before. */
  async take(lengthBytes: number): Promise<StoredExtent[]> {
    const taken: StoredExtent[] = [];
    for (let missing = lengthBytes; missing > 0;) {
      const extent = this.#waiting[this.#next];
      if (extent === undefined) {
        if (!(await this.#fill())) break;
        continue;
      }
      const length = Math.min(missing, extent.length - this.#used);
      taken.push({ ...extent, offset: extent.offset + this.#used, length });
      missing -= length;
      this.#used += length;
      if (this.#used === extent.length) {
        this.#next += 1;
        this.#used = 0;
      }
    }
    return taken;
  }

  async close(): Promise<void> {
    await this.#batches?.return();
  }

  async #fill(): Promise<boolean> {
    const batch = await this.#batches?.next();
    if (batch === undefined || batch.done === true) return false;
    const ids = new Map(batch.value.map(({ id }) => [keyOf(id), id]));
    const answers = await this.#stored.present([...ids.values()]);
    const present = new Map([...ids.keys()].map((key, index) => [key, answers[index] === true]));
    this.#waiting = batch.value.map((extent) => ({
      ...extent,
      present: present.get(keyOf(extent.id)) === true,
    }));
    this.#next = 0;
    this.#used = 0;
    return true;
  }
}

/** An id as a key of a map. */
export function keyOf(id: Uint8Array): string {
  return Buffer.from(id.buffer, id.byteOffset, id.length).toString('latin1');
}
