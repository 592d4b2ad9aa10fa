import { lsnOf, type Lsn } from '../lsn.ts';

/** Every size of segments divides it. */
const stepBytes = 0x4000_0000n;

/** Positions in WAL as plain numbers: bytes from a place not far before them. */
export class WalOrigin {
  readonly #base: bigint;
  readonly #high: number;
  readonly #low: number;

  constructor(near: Lsn) {
    this.#base = near - (near % stepBytes);
    this.#high = Number(this.#base >> 32n);
    this.#low = Number(this.#base & 0xffff_ffffn);
  }

  lsn(at: number): Lsn {
    return lsnOf(this.#base + BigInt(at));
  }

  at(lsn: Lsn): number {
    return Number(lsn - this.#base);
  }

  /** The position that stands in the view; of one so far away that it is inexact, another far away one. */
  read(view: DataView, from: number): number {
    const high = view.getUint32(from + 4, true) - this.#high;
    return high * 0x1_0000_0000 + (view.getUint32(from, true) - this.#low);
  }
}
