import { ExtentCursor } from '../../../pipeline/extent-cursor.ts';
import { extentRow, mapRecordBytes, readExtents } from '../../../pipeline/map.ts';
import { stampBytes } from './stamps.ts';
import { standIn, type EarlierStretch } from './store-pages.ts';

/** Rows that are taken apart at once: as objects they take ten times as much memory. */
const batchBytes = 4096 * mapRecordBytes;

/** What the parent has of a large relation, handed out from its beginning to its end. */
export class EarlierStretches {
  readonly #extents: ExtentCursor;
  readonly #stamps: Uint8Array;
  readonly #pageBytes: number;
  #at = 0;

  constructor(earlier: EarlierStretch, pageBytes: number) {
    const { extents, stamps } = earlier;
    this.#extents = new ExtentCursor(
      {
        // Each stretch asks for its own.
        present: async (ids) => ids.map(() => true),
        extents: async function* () {
          for (let at = 0; at < extents.length; at += batchBytes)
            yield readExtents(extents.subarray(at, at + batchBytes));
        },
        bytes: async function* () {},
      },
      standIn,
    );
    this.#stamps = stamps;
    this.#pageBytes = pageBytes;
  }

  async take(bytes: number): Promise<EarlierStretch> {
    const from = (this.#at / this.#pageBytes) * stampBytes;
    this.#at += bytes;
    const to = Math.ceil(this.#at / this.#pageBytes) * stampBytes;
    const extents = await this.#extents.take(bytes);
    return { extents: Buffer.concat(extents.map(extentRow)), stamps: this.#stamps.slice(from, to) };
  }
}
