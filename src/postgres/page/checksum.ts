import { heapAddress, instantiateHotLoops, type HotLoops } from '../../pipeline/wasm-instance.ts';

interface PageLoops extends HotLoops {
  /** Writes u16 from `to` on. */
  pageChecksums(at: number, pages: number, pageBytes: number, block: number, to: number): void;
}

/** The loop reads up to so many bytes behind the last page. */
const slackBytes = 128;

/**
 * A buffer to read pages of a cluster into, and the checksums of what is in it.
 *
 * The checksum of a page, as PostgreSQL defines it: the page is taken as rows of 32 little-endian words of 4 bytes, its
 * own checksum in it as zero. Each of the 32 columns has a sum, begun with a constant of its own, that takes each word by
 * `x = sum ^ word; sum = x * 16777619 ^ (x >> 17)`, and two zeros at the end. The 32 sums and the number of the block
 * within its relation, all XORed, modulo 65535, plus 1, are the checksum.
 */
export class PageBuffer {
  /** What is read goes in here. */
  readonly bytes: Buffer;
  readonly pageBytes: number;
  readonly #loops: PageLoops;
  readonly #sums: Uint16Array;
  readonly #sumsAddress: number;

  /** `pageBytes`: a power of two from 1024 to 32768; `sizeBytes`: a multiple of it. */
  constructor(pageBytes: number, sizeBytes: number) {
    const pages = sizeBytes / pageBytes;
    if (!Number.isInteger(pages)) throw new RangeError(`${sizeBytes} bytes are no pages of ${pageBytes}`);
    this.pageBytes = pageBytes;
    this.#sumsAddress = heapAddress + sizeBytes + slackBytes;
    // What the module exports is fixed by the build, which a test repeats.
    this.#loops = instantiateHotLoops(sizeBytes + slackBytes + pages * 2) as PageLoops;
    const { buffer } = this.#loops.memory;
    this.bytes = Buffer.from(buffer, heapAddress, sizeBytes);
    this.#sums = new Uint16Array(buffer, this.#sumsAddress, pages);
  }

  /**
   * The checksums that `pages` pages from page `first` of the buffer on should have, the first being block `block` of its
   * relation. A view that the next call overwrites.
   */
  checksums(first: number, pages: number, block: number): Uint16Array {
    const { pageBytes } = this;
    this.#loops.pageChecksums(heapAddress + first * pageBytes, pages, pageBytes, block, this.#sumsAddress);
    return this.#sums.subarray(0, pages);
  }
}
