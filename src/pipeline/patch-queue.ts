import type { Extent } from './map.ts';
import type { MapWriter } from './task.ts';

/** Extents that wait until the blob before them has its id. Bounds memory where few pages of a large file changed. */
const mostWaiting = 4096;

interface Waiting {
  /** Undefined: in the open blob. */
  readonly id: Uint8Array | undefined;
  readonly offset: number;
  length: number;
}

/**
 * Gathers small parts of a stream into blobs of up to `blobBytes`, while the stream goes on: what follows a part waits
 * until its blob is full. Joins extents that continue each other.
 */
export class PatchQueue {
  readonly #map: MapWriter;
  readonly #open: Buffer;
  #openBytes = 0;
  #waiting: Waiting[] = [];

  constructor(map: MapWriter, blobBytes: number) {
    this.#map = map;
    this.#open = Buffer.alloc(blobBytes);
  }

  /** The bytes that come next lie in a stored blob. */
  async extent({ id, offset, length }: Extent): Promise<void> {
    this.#append({ id, offset, length });
    if (this.#openBytes > 0 && this.#waiting.length >= mostWaiting) await this.#close();
    else if (this.#openBytes === 0 && this.#waiting.length > 1)
      await this.#emit(this.#waiting.splice(0, this.#waiting.length - 1));
  }

  /** The bytes that come next must be stored; at most a blob. They are copied before this resolves. */
  async patch(bytes: Uint8Array): Promise<void> {
    if (this.#openBytes + bytes.length > this.#open.length) await this.#close();
    this.#open.set(bytes, this.#openBytes);
    this.#append({ id: undefined, offset: this.#openBytes, length: bytes.length });
    this.#openBytes += bytes.length;
    if (this.#openBytes === this.#open.length) await this.#close();
  }

  /** Hands over everything that waits. */
  async end(): Promise<void> {
    await this.#close();
  }

  #append(next: Waiting): void {
    const last = this.#waiting.at(-1);
    const joins =
      last !== undefined &&
      last.offset + last.length === next.offset &&
      (last.id === undefined || next.id === undefined ? last.id === next.id : equal(last.id, next.id));
    if (joins) last.length += next.length;
    else this.#waiting.push(next);
  }

  async #close(): Promise<void> {
    const id =
      this.#openBytes === 0 ? undefined : await this.#map.blob(this.#open.subarray(0, this.#openBytes));
    this.#openBytes = 0;
    const waiting = this.#waiting;
    this.#waiting = [];
    await this.#emit(waiting.map((extent) => ({ ...extent, id: extent.id ?? id })));
  }

  async #emit(extents: readonly Waiting[]): Promise<void> {
    for (const { id, offset, length } of extents) {
      if (id === undefined) throw new Error('an extent without a blob');
      await this.#map.extent({ id, offset, length });
    }
  }
}

function equal(a: Uint8Array, b: Uint8Array): boolean {
  return Buffer.compare(a, b) === 0;
}
