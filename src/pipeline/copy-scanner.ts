import { heapAddress, instantiateHotLoops, resultAddress, type HotLoops } from './wasm-instance.ts';

const stagingBytes = 262_144;
/** The loops read and write 16 bytes at a time, up to 15 past the end. */
const slackBytes = 16;
const outputAddress = heapAddress + stagingBytes + slackBytes;

/** Values of `framingState` in wasm/framing.ts. */
const framing = { ended: 1, negative: 2, tooLong: 3 };

export interface CopyScannerOptions {
  /** Bytes of an integer in the archive, from its header. Only 4 is known to exist. */
  readonly intSize: number;
}

export interface FramedPart {
  /** Bytes taken from the start of the input; the caller comes again with the rest until `ended`. */
  readonly consumed: number;
  /** The content without its framing, possibly empty. A view that the next call of any method overwrites. */
  readonly content: Uint8Array;
  /** The block's terminator was the last thing consumed. */
  readonly ended: boolean;
}

export interface CopyResult {
  readonly rows: number;
  /** Bytes of the rows with their newlines. */
  readonly bytes: number;
  /** 32 lower-case hexadecimal digits. */
  readonly fingerprint: string;
}

/**
 * Reads the text that PostgreSQL's COPY writes, from a pg_dump archive or from the server: counts rows and takes a
 * fingerprint of them that does not depend on their order, nor on how the input was split.
 *
 * The fingerprint is part of manifests, so this definition is fixed. All arithmetic is modulo 2^64, `rotl` rotates 64
 * bits to the left, `>>` shifts zeros in. A row is the bytes up to a newline (0x0a, which inside a value is always
 * escaped) without it; a last row may lack its newline, but not be empty then. A row of exactly the two bytes `\.`
 * marks the end of the data: neither it (with or without newline) nor anything after it counts. pg_dump writes that
 * mark and two empty lines at the end of a table's content, the server does not: so both give the same result.
 *
 *     A = b0ae361667181147   B = dfe6bb7b41970fc5   C = 8cd2c41d93e7a491
 *     h = 18f2274b8a6917d5
 *     append 1 to 8 zero bytes to the row to make its length a multiple of 8 (so an empty row has 8)
 *     for each little-endian word w of 8 bytes:  h = rotl(h ^ (rotl(w * A, 31) * B), 27) * C
 *     h = h ^ length of the row in bytes
 *     avalanche(d, e):  x = (h ^ (h >> 32)) * d;  x = (x ^ (x >> 29)) * e;  x ^ (x >> 32)
 *     first sum  += avalanche(bb3fd2e26e232013, 5fae839ff48d7d7d)
 *     second sum += avalanche(10b4d446cf509ce9, 862b9d9077072383)
 *
 * Both sums begin at 0 and are written as 16 hexadecimal digits each, the first one first. It tells accidents from
 * equality; it is not made to withstand somebody who constructs rows.
 *
 * Memory: two staging areas of 256 KiB, whatever the length of a row.
 */
export class CopyScanner {
  readonly #loops: HotLoops;
  readonly #input: Uint8Array;
  readonly #output: Uint8Array;
  readonly #result: DataView;
  /** Bytes of `pushPlain` that wait in the staging area: small inputs are scanned together. */
  #waiting = 0;

  /** Throws an `Error` if `intSize` is not 4. */
  constructor(options: CopyScannerOptions) {
    if (options.intSize !== 4) {
      throw new Error(`archives with integers of ${options.intSize} bytes are not supported`);
    }
    this.#loops = instantiateHotLoops(2 * (stagingBytes + slackBytes));
    const { buffer } = this.#loops.memory;
    this.#input = new Uint8Array(buffer, heapAddress, stagingBytes);
    this.#output = new Uint8Array(buffer, outputAddress, stagingBytes);
    this.#result = new DataView(buffer, resultAddress, 32);
  }

  /**
   * Takes what follows a data block's header in a pg_dump custom archive without compression: pieces, each a length
   * (one sign byte, then 4 bytes, little-endian) and as many bytes, up to and including the piece of length 0.
   * Pieces and lengths may be split anywhere between calls.
   *
   * Throws an `Error` for a length that is negative or over 2^31 - 1, and when called again, before `reset`, after
   * such an error or after the end.
   */
  pushFramed(input: Uint8Array): FramedPart {
    this.#flush();
    if (this.#loops.framingState() !== 0) {
      throw new Error('the data block is over; reset the scanner for the next one');
    }
    const part = input.length > stagingBytes ? input.subarray(0, stagingBytes) : input;
    this.#input.set(part);
    const consumed = this.#loops.stripFraming(heapAddress, part.length, outputAddress);
    const state = this.#loops.framingState();
    if (state === framing.negative) throw new Error('the data block has a piece of negative length');
    if (state === framing.tooLong) throw new Error('the data block has a piece longer than 2^31 - 1 bytes');
    const produced = this.#loops.producedBytes();
    this.#loops.scanRows(outputAddress, produced);
    return { consumed, content: this.#output.subarray(0, produced), ended: state === framing.ended };
  }

  /** Takes rows as they are, all of `input`; it is copied, so the caller may reuse it. */
  pushPlain(input: Uint8Array): void {
    let taken = 0;
    while (taken < input.length) {
      const count = Math.min(stagingBytes - this.#waiting, input.length - taken);
      this.#input.set(count === input.length ? input : input.subarray(taken, taken + count), this.#waiting);
      this.#waiting += count;
      taken += count;
      if (this.#waiting === stagingBytes) this.#flush();
    }
  }

  /** What all input since the last `reset` amounts to, a last row without newline included. Changes nothing. */
  result(): CopyResult {
    this.#flush();
    this.#loops.finishRows();
    const word = (index: number): bigint => this.#result.getBigUint64(index * 8, true);
    const digits = (sum: bigint): string => sum.toString(16).padStart(16, '0');
    return { rows: Number(word(0)), bytes: Number(word(1)), fingerprint: digits(word(2)) + digits(word(3)) };
  }

  /** Starts anew, for the next table. */
  reset(): void {
    this.#waiting = 0;
    this.#loops.resetRows();
    this.#loops.resetFraming();
  }

  #flush(): void {
    if (this.#waiting === 0) return;
    this.#loops.scanRows(heapAddress, this.#waiting);
    this.#waiting = 0;
  }
}
