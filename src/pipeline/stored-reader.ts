import type { StreamRef } from '../contract/stream.ts';
import type { StoredData } from './stored.ts';

/** Reads a stored stream by the count. */
export class StoredReader {
  readonly #pieces: AsyncGenerator<Uint8Array, void, void> | undefined;
  #rest: Uint8Array = new Uint8Array(0);

  constructor(stored: StoredData, stream: StreamRef | null) {
    this.#pieces = stream === null ? undefined : stored.bytes(stream);
  }

  /** The next `count` bytes; fewer at the end. */
  async read(count: number): Promise<Buffer> {
    const parts: Uint8Array[] = [];
    for (let missing = count; missing > 0 && this.#pieces !== undefined;) {
      if (this.#rest.length === 0) {
        const next = await this.#pieces.next();
        if (next.done === true) break;
        this.#rest = next.value;
      }
      const part = this.#rest.subarray(0, missing);
      parts.push(part);
      this.#rest = this.#rest.subarray(part.length);
      missing -= part.length;
    }
    return Buffer.concat(parts);
  }

  async close(): Promise<void> {
    await this.#pieces?.return();
  }
}
