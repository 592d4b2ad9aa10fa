import { constants } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { blockBytes, giveBackAlignedBuffer, takeAlignedBuffer } from '../kernel/aligned-buffers.ts';

/**
 * Writes a new file from its beginning to its end past the cache of the system, where the file system lets it: what is
 * restored is flushed anyhow, and as much memory as it has bytes would only push out what is in use.
 *
 * Elsewhere it writes as ever. `finish` leaves the file whole, and not yet flushed.
 */
export class DirectWriter {
  readonly #handle: FileHandle;
  #direct: FileHandle | undefined;
  #buffer: Buffer | undefined;
  #fill = 0;
  #position = 0;
  #writing: Promise<void> | undefined;

  private constructor(handle: FileHandle, direct: FileHandle | undefined) {
    this.#handle = handle;
    this.#direct = direct;
  }

  /** `handle`: open for writing, at a new and empty file that `path` leads to. */
  static async open(handle: FileHandle, path: string | Buffer): Promise<DirectWriter> {
    return new DirectWriter(handle, await openDirect(handle, path));
  }

  /** The bytes may be used otherwise when it resolves. */
  async write(bytes: Uint8Array): Promise<void> {
    for (let at = 0; at < bytes.length;) {
      const buffer = (this.#buffer ??= takeAlignedBuffer());
      const fitting = bytes.subarray(at, at + buffer.length - this.#fill);
      buffer.set(fitting, this.#fill);
      this.#fill += fitting.length;
      at += fitting.length;
      if (this.#fill === buffer.length) await this.#turn();
    }
  }

  /** Everything is in the file when it resolves. Must be called before `close`, unless writing has failed. */
  async finish(): Promise<void> {
    await this.#turn();
    await this.#writing;
  }

  /** To be called at the end, whether all went well or not. */
  async close(): Promise<void> {
    await this.#writing?.catch(() => undefined); // Told where it was awaited.
    if (this.#buffer !== undefined) giveBackAlignedBuffer(this.#buffer);
    this.#buffer = undefined;
    await this.#direct?.close();
    this.#direct = undefined;
  }

  /** Sends off what was gathered, when what was sent before has arrived. */
  async #turn(): Promise<void> {
    await this.#writing;
    const buffer = this.#buffer;
    if (buffer === undefined || this.#fill === 0) return;
    const [length, position] = [this.#fill, this.#position];
    this.#buffer = undefined;
    this.#fill = 0;
    this.#position += length;
    this.#writing = this.#send(buffer, length, position).finally(() => giveBackAlignedBuffer(buffer));
    this.#writing.catch(() => undefined); // Awaited by the next call.
  }

  async #send(buffer: Buffer, length: number, position: number): Promise<void> {
    const whole = length - (length % blockBytes);
    const sent = await this.#sendDirectly(buffer.subarray(0, whole), position);
    await writeAll(this.#handle, buffer.subarray(sent, length), position + sent);
  }

  /** How many bytes it has written: all, or none from the first time on that the file system refuses. */
  async #sendDirectly(bytes: Buffer, position: number): Promise<number> {
    if (this.#direct === undefined || bytes.length === 0) return 0;
    try {
      const { bytesWritten } = await this.#direct.write(bytes, 0, bytes.length, position);
      // The rest of a write that was cut short may begin anywhere.
      return bytesWritten - (bytesWritten % blockBytes);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EINVAL') throw error;
      await this.#direct.close();
      this.#direct = undefined;
      return 0;
    }
  }
}

/** Undefined where that is not to be had, or leads to another file. */
async function openDirect(handle: FileHandle, path: string | Buffer): Promise<FileHandle | undefined> {
  const { O_DIRECT, O_WRONLY, O_NOFOLLOW } = constants as typeof constants & { readonly O_DIRECT?: number };
  if (O_DIRECT === undefined) return undefined;
  let direct: FileHandle | undefined;
  try {
    direct = await open(path, O_WRONLY | O_NOFOLLOW | O_DIRECT);
    const [one, other] = await Promise.all([handle.stat(), direct.stat()]);
    if (one.ino === other.ino && one.dev === other.dev) return direct;
  } catch {
    // Then it is written as ever, and whatever is wrong turns up there.
  }
  await direct?.close();
  return undefined;
}

async function writeAll(handle: FileHandle, bytes: Uint8Array, position: number): Promise<void> {
  for (let at = 0; at < bytes.length;) {
    const { bytesWritten } = await handle.write(bytes, at, bytes.length - at, position + at);
    at += bytesWritten;
  }
}
