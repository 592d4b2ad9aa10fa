import { once } from 'node:events';
import { createDeflate, deflateSync } from 'node:zlib';

/** What pg_dump compresses with unless told otherwise. */
const level = 6;

/** One zlib stream, taken piece by piece. It works in a thread of Node's own. */
export class Deflater {
  readonly #stream = createDeflate({ level, chunkSize: 65_536 });
  readonly #out: Buffer[] = [];

  constructor() {
    this.#stream.on('data', (piece: Buffer) => this.#out.push(piece));
  }

  /** Resolves, once the bytes are used, with what has come out so far. */
  async write(bytes: Uint8Array): Promise<Buffer[]> {
    await new Promise<void>((resolve, reject) => {
      this.#stream.write(bytes, (error) => {
        if (error === null || error === undefined) resolve();
        else reject(error);
      });
    });
    return this.#out.splice(0);
  }

  async end(): Promise<Buffer[]> {
    const ended = once(this.#stream, 'end');
    this.#stream.end();
    await ended;
    return this.#out.splice(0);
  }
}

/** The same at once, for what is small. */
export function deflateWhole(bytes: Uint8Array): Buffer {
  return deflateSync(bytes, { level });
}
