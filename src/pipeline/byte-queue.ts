/** Takes bytes that come in pieces of any size apart again. */
export class ByteQueue {
  readonly #source: AsyncIterator<Uint8Array>;
  #rest: Buffer = Buffer.alloc(0);

  constructor(source: AsyncIterable<Uint8Array>) {
    this.#source = source[Symbol.asyncIterator]();
  }

  /** So many bytes; fewer only at the end of all. The result stays as it is. */
  async take(count: number): Promise<Buffer> {
    if (this.#rest.length >= count) return this.#cut(count);
    const pieces: Buffer[] = [];
    let size = 0;
    for (let piece = await this.some(count); piece !== undefined; piece = await this.some(count - size)) {
      pieces.push(Buffer.from(piece));
      size += piece.length;
      if (size === count) break;
    }
    return Buffer.concat(pieces);
  }

  /** Some bytes, at most so many; undefined at the end. A view that stays as it is until the next call. */
  async some(most: number): Promise<Buffer | undefined> {
    while (this.#rest.length === 0) {
      const next = await this.#source.next();
      if (next.done === true) return undefined;
      this.#rest = Buffer.from(next.value.buffer, next.value.byteOffset, next.value.length);
    }
    return this.#cut(Math.min(most, this.#rest.length));
  }

  async end(): Promise<void> {
    await this.#source.return?.();
  }

  #cut(count: number): Buffer {
    const part = this.#rest.subarray(0, count);
    this.#rest = this.#rest.subarray(count);
    return part;
  }
}
