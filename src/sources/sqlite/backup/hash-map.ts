import type { StreamRef } from '../../../contract/stream.ts';
import { PageMapWriter } from '../../../pipeline/page-map.ts';
import type { StoredData } from '../../../pipeline/stored.ts';
import { StoredReader } from '../../../pipeline/stored-reader.ts';
import type { MapWriter } from '../../../pipeline/task.ts';
import { hashBytes } from '../metadata.ts';

/** What of the hashes is stored anew where one has changed: those of 32 pages. */
const groupBytes = 512;

/** Compares the hashes of pages with those of an earlier version, and stores them in turn, those that changed only. */
export class HashMapWriter {
  readonly #map: PageMapWriter;
  readonly #previous: StoredReader | null;
  /** The piece of the map that is gathered; and for each of its groups whether it differs from the earlier version. */
  readonly #piece: Buffer;
  readonly #changed: Uint8Array;
  #bytes = 0;

  constructor(map: MapWriter, stored: StoredData, previous: StreamRef | null) {
    this.#map = new PageMapWriter({ map, stored, previous, pageBytes: groupBytes });
    this.#previous = previous === null ? null : new StoredReader(stored, previous);
    this.#piece = Buffer.alloc(this.#map.pieceBytes);
    this.#changed = new Uint8Array(this.#map.pieceBytes / groupBytes);
  }

  /** The hashes of the next pages. Resolves with 1 for each that differs from the earlier version, 0 for each other. */
  async add(hashes: Buffer): Promise<Uint8Array> {
    const before = (await this.#previous?.read(hashes.length)) ?? Buffer.alloc(0);
    const changed = new Uint8Array(hashes.length / hashBytes);
    for (let page = 0; page < changed.length; page += 1) {
      const from = page * hashBytes;
      const same =
        from + hashBytes <= before.length &&
        hashes.compare(before, from, from + hashBytes, from, from + hashBytes) === 0;
      changed[page] = same ? 0 : 1;
      await this.#gather(hashes.subarray(from, from + hashBytes), same);
    }
    return changed;
  }

  async finish(): Promise<StreamRef> {
    await this.#flush();
    await this.#previous?.close();
    return await this.#map.finish();
  }

  async #gather(pageHash: Buffer, same: boolean): Promise<void> {
    pageHash.copy(this.#piece, this.#bytes);
    if (!same) this.#changed[Math.floor(this.#bytes / groupBytes)] = 1;
    this.#bytes += hashBytes;
    if (this.#bytes === this.#piece.length) await this.#flush();
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
