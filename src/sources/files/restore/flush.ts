import { release } from 'node:os';
import { writeFailure } from './failure.ts';
import type { PosixHelper } from '../posix-helper.ts';

/**
 * Makes what is restored durable: all at once where the system can flush a file system and tell what went wrong, which
 * is many times faster for many small files than flushing each of them.
 */
export class Flusher {
  /** Whether `flush` does it; otherwise each file and directory has to be flushed by itself. */
  readonly flushesAll: boolean;
  readonly #helper: PosixHelper | null;

  private constructor(helper: PosixHelper | null) {
    this.#helper = helper;
    this.flushesAll = helper !== null;
  }

  /** Before anything is written to `base`, a directory: errors are told from then on. */
  static async open(helper: PosixHelper | null, base: string): Promise<Flusher> {
    if (helper === null || !tellsErrors(release())) return new Flusher(null);
    return new Flusher((await helper.openFileSystem(Buffer.from(base))) === null ? helper : null);
  }

  /** `restore_write_failed`, naming `shown`. */
  async flush(shown: string): Promise<void> {
    const errno = (await this.#helper?.flushFileSystem()) ?? null;
    if (errno === null) return;
    throw writeFailure(
      shown,
      Object.assign(new Error(`flushing its file system: ${errno}`), { code: errno }),
    );
  }
}

/** Older kernels say that all is well when it is not. */
export function tellsErrors(kernel: string): boolean {
  const [major = 0, minor = 0] = kernel.split('.').map((part) => Number.parseInt(part, 10));
  return major > 5 || (major === 5 && minor >= 8);
}
