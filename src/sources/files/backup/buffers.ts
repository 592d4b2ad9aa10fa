/**
 * Buffers of one size, lent again and again by one thread: new ones for each task would cost more than what is read
 * into them, for the system has to clear every page of them.
 */
export class Buffers {
  readonly #sizeBytes: number;
  readonly #idle: Buffer[] = [];

  constructor(sizeBytes: number) {
    this.#sizeBytes = sizeBytes;
  }

  take(): Buffer {
    return this.#idle.pop() ?? Buffer.allocUnsafeSlow(this.#sizeBytes);
  }

  /** Only what nobody looks at any more. */
  giveBack(buffer: Buffer): void {
    if (this.#idle.length < mostIdle) this.#idle.push(buffer);
  }
}

const mostIdle = 2;
