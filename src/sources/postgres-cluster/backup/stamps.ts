import type { StreamRef } from '../../../contract/stream.ts';
import { PageMapWriter } from '../../../pipeline/page-map.ts';
import type { StoredData } from '../../../pipeline/stored.ts';
import type { MapWriter } from '../../../pipeline/task.ts';

/**
 * The stamp of a page: a little-endian word of 8 bytes, its LSN XORed with its checksum shifted to the upper 16 bits. The
 * checksum is the one in its header; in a cluster without data checksums, the one that it would have.
 *
 * Zero says that the page has to be stored by the next backup whatever it looks like: it has no LSN, is not whole, or its
 * checksum was wrong.
 */
export const stampBytes = 8;

/** What of the stamps is stored anew where one has changed: those of 64 pages. */
const groupBytes = 512;

export function writeStamp(into: Buffer, at: number, high: number, low: number, checksum: number): void {
  into.writeUInt32LE(low, at);
  into.writeUInt32LE((high ^ (checksum << 16)) >>> 0, at + 4);
}

/** Stores the stamps of a relation over those of an earlier version, only what differs. */
export class StampsWriter {
  readonly #map: PageMapWriter;
  readonly #piece: Buffer;
  /** For each group of the piece whether it differs from the earlier version. */
  readonly #changed: Uint8Array;
  #bytes = 0;

  constructor(map: MapWriter, stored: StoredData, previous: StreamRef | null) {
    this.#map = new PageMapWriter({ map, stored, previous, pageBytes: groupBytes });
    this.#piece = Buffer.alloc(this.#map.pieceBytes);
    this.#changed = new Uint8Array(this.#map.pieceBytes / groupBytes);
  }

  /** The stamps of the next pages, and what the earlier version has at the same places: less at its end. */
  async add(stamps: Buffer, before: Buffer): Promise<void> {
    for (let at = 0; at < stamps.length;) {
      const length = Math.min(groupBytes - (this.#bytes % groupBytes), stamps.length - at);
      const isSame = stamps.subarray(at, at + length).equals(before.subarray(at, at + length));
      stamps.copy(this.#piece, this.#bytes, at, at + length);
      if (!isSame) this.#changed[Math.floor(this.#bytes / groupBytes)] = 1;
      this.#bytes += length;
      at += length;
      if (this.#bytes === this.#piece.length) await this.#flush();
    }
  }

  async finish(): Promise<StreamRef> {
    await this.#flush();
    return await this.#map.finish();
  }

  async #flush(): Promise<void> {
    if (this.#bytes === 0) return;
    const groups = this.#changed.subarray(0, Math.ceil(this.#bytes / groupBytes));
    const isSame = groups.every((flag) => flag === 0);
    if (!isSame || !(await this.#map.keep(this.#bytes)))
      await this.#map.add(this.#piece.subarray(0, this.#bytes), groups);
    this.#changed.fill(0);
    this.#bytes = 0;
  }
}
