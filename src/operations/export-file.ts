import { createHash } from 'node:crypto';
import { link, open, rename, rm, unlink, type FileHandle } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { failure, isFailure, reasonOf } from '../kernel/errors/failure.ts';

/** Of files that are not complete, with the id of the process in front of the rest of the token. */
export const partialNames = /^\..+\.partial-(\d+)-[0-9a-f]+$/s;

const bufferBytes = 1_048_576;

/** A file under a name of its own until it is complete. What is not published is removed. */
export class PartialFile implements AsyncDisposable {
  /** Where it will be. */
  readonly path: string;
  readonly #temporary: string;
  #handle: FileHandle | undefined;
  #hash = createHash('sha256');
  #rewritten = false;
  readonly #buffer = Buffer.allocUnsafe(bufferBytes);
  #filled = 0;
  #written = 0;
  #published = false;

  private constructor(path: string, temporary: string, handle: FileHandle) {
    this.path = path;
    this.#temporary = temporary;
    this.#handle = handle;
  }

  /** `token` tells it from what others write at the same time: the id of our process, `-`, hexadecimal digits. */
  static async create(directory: string, name: string, token: string): Promise<PartialFile> {
    const path = join(directory, name);
    const temporary = join(directory, `.${name}.partial-${token}`);
    return new PartialFile(path, temporary, await guarded(path, () => open(temporary, 'wx+', 0o600)));
  }

  async write(bytes: Uint8Array): Promise<void> {
    if (this.#filled + bytes.length > bufferBytes) await this.#empty();
    if (bytes.length > bufferBytes) return await this.#put(bytes);
    this.#buffer.set(bytes, this.#filled);
    this.#filled += bytes.length;
  }

  /** Other bytes over the first ones. */
  async overwriteStart(bytes: Uint8Array): Promise<void> {
    await this.#empty();
    this.#rewritten = true;
    await this.#at(bytes, 0);
  }

  /** Makes it durable, still under its own name. The hash is that of sha256sum. */
  async finish(): Promise<{ readonly bytes: number; readonly sha256: string }> {
    await this.#empty();
    await guarded(this.path, async () => {
      await this.#file.sync();
      if (this.#rewritten) this.#hash = await this.#readAgain();
      await this.#file.close();
    });
    this.#handle = undefined;
    return { bytes: this.#written, sha256: this.#hash.digest('hex') };
  }

  /** Gives it its name. With `replace` whatever has that name is gone then; without, somebody else's file stays. */
  async publish(replace: boolean): Promise<void> {
    await guarded(this.path, async () => {
      if (replace || !(await this.#link())) await rename(this.#temporary, this.path);
    });
    this.#published = true;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#handle?.close();
    this.#handle = undefined;
    if (!this.#published) await rm(this.#temporary, { force: true });
  }

  get #file(): FileHandle {
    if (this.#handle === undefined) throw failure('internal', { reason: `${this.path} is closed` });
    return this.#handle;
  }

  async #empty(): Promise<void> {
    const bytes = this.#buffer.subarray(0, this.#filled);
    this.#filled = 0;
    await this.#put(bytes);
  }

  async #put(bytes: Uint8Array): Promise<void> {
    this.#hash.update(bytes);
    await this.#at(bytes, this.#written);
    this.#written += bytes.length;
  }

  async #at(bytes: Uint8Array, position: number): Promise<void> {
    for (let done = 0; done < bytes.length;) {
      const { bytesWritten } = await guarded(this.path, () =>
        this.#file.write(bytes, done, bytes.length - done, position + done),
      );
      done += bytesWritten;
    }
  }

  async #readAgain() {
    const hash = createHash('sha256');
    for (let position = 0; ;) {
      const { bytesRead } = await this.#file.read(this.#buffer, 0, bufferBytes, position);
      if (bytesRead === 0) return hash;
      hash.update(this.#buffer.subarray(0, bytesRead));
      position += bytesRead;
    }
  }

  /** False where the file system has no hard links. A name that is taken by now is refused. */
  async #link(): Promise<boolean> {
    try {
      await link(this.#temporary, this.path);
    } catch (error) {
      if (errnoOf(error) === 'EEXIST') {
        const [directory, names] = [dirname(this.path), this.path.slice(dirname(this.path).length + 1)];
        throw failure('export_exists', { directory, names });
      }
      return false;
    }
    await unlink(this.#temporary);
    return true;
  }
}

/** Makes names in a directory survive a power cut, where the file system can. */
export async function syncNames(directory: string): Promise<void> {
  await guarded(directory, async () => {
    await using handle = await open(directory, 'r');
    try {
      await handle.sync();
    } catch (error) {
      if (!['EINVAL', 'ENOTSUP', 'EOPNOTSUPP'].includes(errnoOf(error))) throw error;
    }
  });
}

function errnoOf(error: unknown): string {
  return (error as NodeJS.ErrnoException | undefined)?.code ?? '';
}

/** Errors of the file system about `path`, coded. */
async function guarded<T>(path: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (isFailure(error)) throw error;
    throw failure(
      'export_write_failed',
      { path, reason: reasonOf(error), mend: mendOf(errnoOf(error), path) },
      { cause: error },
    );
  }
}

export function mendOf(errno: string, path: string): string {
  if (errno === 'ENOSPC' || errno === 'EDQUOT')
    return 'make room there, or export to another disk, and run the same command again';
  if (errno === 'EACCES' || errno === 'EPERM')
    return `export to a directory that you may write to; ls -ld ${dirname(path)} says whose it is`;
  if (errno === 'EROFS') return 'that disk is mounted read-only; export to another one';
  return 'check that disk, and run the same command again';
}
