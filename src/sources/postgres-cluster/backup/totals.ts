import type { Progress } from '../../port.ts';

/** Files grow while they are read: what is expected grows with them, for less than was read would be no total. */
export class ReadTotals {
  readonly #progress: Progress;
  #expected = 0;
  #read = 0;

  constructor(progress: Progress, bytes: number) {
    this.#progress = progress;
    this.#expect(bytes);
  }

  advance(bytes: number): void {
    this.#read += bytes;
    if (this.#read > this.#expected) this.#expect(this.#read - this.#expected);
    this.#progress.advance(bytes);
  }

  #expect(bytes: number): void {
    this.#expected += bytes;
    this.#progress.total(bytes);
  }
}
