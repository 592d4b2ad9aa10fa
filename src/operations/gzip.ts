import { promisify } from 'node:util';
import { gzip } from 'node:zlib';

const compress = promisify(gzip);
const memberBytes = 1_048_576;
const level = 6;
const chunkSize = 131_072;

/**
 * Compresses what it is given, several pieces at once, each to a gzip member of its own: every tool reads several
 * members behind each other as one file. The same bytes always give the same file.
 */
export class GzipWriter {
  readonly #out: (bytes: Uint8Array) => Promise<void>;
  readonly #atOnce: number;
  #buffer = Buffer.allocUnsafe(memberBytes);
  #filled = 0;
  #members = 0;
  readonly #running: Promise<Buffer>[] = [];

  /** At most `atOnce` pieces of 1 MiB are compressed at the same time, in threads of Node's own. */
  constructor(atOnce: number, out: (bytes: Uint8Array) => Promise<void>) {
    this.#out = out;
    this.#atOnce = atOnce;
  }

  async write(bytes: Uint8Array): Promise<void> {
    let taken = 0;
    while (taken < bytes.length) {
      const part = bytes.subarray(taken, taken + memberBytes - this.#filled);
      this.#buffer.set(part, this.#filled);
      this.#filled += part.length;
      taken += part.length;
      if (this.#filled === memberBytes) await this.#member();
    }
  }

  async end(): Promise<void> {
    if (this.#filled > 0 || this.#members === 0) await this.#member();
    while (this.#running.length > 0) await this.#oldest();
  }

  async #member(): Promise<void> {
    const member = compress(this.#buffer.subarray(0, this.#filled), { level, chunkSize });
    // Whoever awaits it is told; until then nobody may be there to hear.
    member.catch(() => undefined);
    this.#running.push(member);
    this.#buffer = Buffer.allocUnsafe(memberBytes);
    this.#filled = 0;
    this.#members += 1;
    if (this.#running.length > this.#atOnce) await this.#oldest();
  }

  async #oldest(): Promise<void> {
    const member = this.#running.shift();
    if (member !== undefined) await this.#out(await member);
  }
}
