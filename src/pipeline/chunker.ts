import { gearAddress, heapAddress, instantiateHotLoops, type HotLoops } from './wasm-instance.ts';

export interface ChunkerOptions {
  /** Mean chunk size in bytes: a power of two from 16 KiB to 1 MiB. */
  readonly averageBytes: number;
  /** 2048 bytes: 256 little-endian u64 drawn from the repository's key. Without it, sizes do not tell contents. */
  readonly gearTable: Uint8Array;
  /** Size of `buffer`; at least the largest chunk, 4 * `averageBytes`. Twice that keeps moves rare. */
  readonly capacityBytes: number;
}

/**
 * Cuts a stream into chunks where its content says so, so that equal stretches of different streams give equal chunks.
 *
 * The definition, which must not change or nothing new deduplicates against what is stored: the gear hash of a place
 * is the sum over the 64 bytes before it of `gear[byte] * 2^distance` modulo 2^64, distance 0 being the byte just
 * before. A chunk ends at the least length L from `averageBytes / 4` on where the hash is below
 * `2^62 / averageBytes` (if L < 13/16 `averageBytes`) or `2^66 / averageBytes` (from there on), and at
 * `4 * averageBytes` at the latest. Two thresholds, one 16 times the other, make sizes crowd around the mean: what a
 * changed byte costs is the mean of L² over the mean of L, here 1.09 `averageBytes` instead of 1.55 with one threshold.
 *
 * Bytes before `averageBytes / 4` (but for the last 63) are never looked at. Memory: `capacityBytes` and one page.
 */
export class ContentChunker {
  /** The caller's to fill: `capacityBytes` bytes that `nextCut` reads. */
  readonly buffer: Uint8Array;
  readonly minBytes: number;
  readonly maxBytes: number;
  readonly #loops: HotLoops;
  /** Bytes of the undecided chunk in which there is known to be no cut. */
  #scanned = 0;

  /** Throws a `RangeError` for options outside their bounds. */
  constructor(options: ChunkerOptions) {
    const { averageBytes, gearTable, capacityBytes } = options;
    const bits = Math.log2(averageBytes);
    if (!Number.isInteger(bits) || bits < 14 || bits > 20) {
      throw new RangeError(`averageBytes must be a power of two from 16 KiB to 1 MiB, not ${averageBytes}`);
    }
    if (gearTable.length !== 2048) {
      throw new RangeError(`gearTable must have 2048 bytes, not ${gearTable.length}`);
    }
    this.minBytes = averageBytes / 4;
    this.maxBytes = averageBytes * 4;
    if (!Number.isInteger(capacityBytes) || capacityBytes < this.maxBytes || capacityBytes > 2 ** 30) {
      throw new RangeError(`capacityBytes must be from ${this.maxBytes} to 1 GiB, not ${capacityBytes}`);
    }
    this.#loops = instantiateHotLoops(capacityBytes);
    this.#loops.setAverage(bits);
    const { buffer } = this.#loops.memory;
    new Uint8Array(buffer, gearAddress, 2048).set(gearTable);
    this.buffer = new Uint8Array(buffer, heapAddress, capacityBytes);
  }

  /**
   * The length of the chunk that begins at `from` in `buffer`, whose bytes up to `to` are valid; 0 when only more
   * bytes can tell. `final` says that none will come: then it is 0 only if `to` equals `from`.
   *
   * After a 0 the next call must be about the same chunk, to which bytes were added and which may have been moved
   * (it is not read again from its beginning), or `reset` must be called first.
   * Throws a `RangeError` unless 0 <= from <= to <= capacity.
   */
  nextCut(from: number, to: number, final: boolean): number {
    if (!(from >= 0 && from <= to && to <= this.buffer.length)) {
      throw new RangeError(`no chunk from ${from} to ${to} in a buffer of ${this.buffer.length} bytes`);
    }
    const available = to - from;
    const scanned = available >= this.#scanned ? this.#scanned : 0;
    const cut = this.#loops.nextCut(heapAddress + from, available, scanned, final ? 1 : 0);
    this.#scanned = cut === 0 && !final ? available : 0;
    return cut;
  }

  /** Forgets a chunk that was left undecided. */
  reset(): void {
    this.#scanned = 0;
  }
}
