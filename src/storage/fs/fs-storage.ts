import type { FileHandle } from 'node:fs/promises';
import { failure } from '../../kernel/errors/failure.ts';
import { assertListPrefix, assertObjectName } from '../names.ts';
import { partsOf } from '../parts.ts';
import type { CallOptions, GetOptions, ObjectInfo, Storage } from '../port.ts';
import { assertRange, resolveRange } from '../range.ts';
import { coded, saysAbsent, type FsDeed } from './errors.ts';
import { findForeign, listObjects, statObject } from './list.ts';
import { publish, readFully, removeDurably } from './publish.ts';
import type { FsRoot } from './root.ts';
import { removeTemporary, writeTemporary } from './write.ts';

const readBytes = 8 * 1024 * 1024;

/**
 * Objects as files of one directory tree; made by `openFsStorage`.
 *
 * An object is written to `.tmp/`, flushed, hard-linked to its name (which fails where the name is taken) and the
 * directory flushed; only then does put resolve. Files have mode 0400, as objects never change, and directories
 * 0700. Several processes may use one directory at once. Beside the errors of the port: `storage_full`,
 * `storage_layout`, `storage_file_limit`, `storage_io`, `storage_claimed`.
 */
export class FsStorage implements Storage {
  readonly location: string;
  readonly #root: FsRoot;

  constructor(root: FsRoot) {
    this.location = root.location;
    this.#root = root;
  }

  async put(
    name: string,
    data: Uint8Array | readonly Uint8Array[],
    { signal }: CallOptions = {},
  ): Promise<void> {
    assertObjectName(name);
    signal?.throwIfAborted();
    const parts = partsOf(data);
    const store = async (): Promise<void> => {
      await this.#root.assertInPlace();
      const temporary = await writeTemporary(this.#root, parts, signal);
      try {
        await publish(this.#root, { name, temporary, parts, signal });
      } finally {
        await removeTemporary(this.#root, temporary);
      }
    };
    await coded(this.#deed('write', name), store, signal);
  }

  async get(name: string, options: GetOptions = {}): Promise<Uint8Array> {
    assertObjectName(name);
    assertRange(options);
    options.signal?.throwIfAborted();
    const read = async (): Promise<Uint8Array> => {
      await using handle = await this.#open(name);
      const info = await handle.stat();
      if (!info.isFile()) throw await this.#missing(name);
      const { start, end } = resolveRange(options, info.size);
      // Not from Node's shared pool: the caller may hand the memory on to a worker.
      const { buffer } = Buffer.allocUnsafeSlow(end - start);
      const bytes = new Uint8Array(buffer);
      return bytes.subarray(0, await readInPieces(handle, bytes, start, options.signal));
    };
    return coded(this.#deed('read', name), read, options.signal);
  }

  async *list(prefix: string, { signal }: CallOptions = {}): AsyncGenerator<ObjectInfo, void, void> {
    assertListPrefix(prefix);
    signal?.throwIfAborted();
    yield* listObjects(this.#root, prefix, signal);
  }

  async stat(name: string, { signal }: CallOptions = {}): Promise<ObjectInfo> {
    assertObjectName(name);
    signal?.throwIfAborted();
    const info = await statObject(this.#root, name);
    if (info === undefined) throw await this.#missing(name);
    return info;
  }

  async delete(name: string, { signal }: CallOptions = {}): Promise<void> {
    assertObjectName(name);
    signal?.throwIfAborted();
    await coded(this.#deed('delete', name), async () => {
      await this.#root.assertInPlace();
      await removeDurably(this.#root, this.#root.pathOf(name));
    });
  }

  /** Nothing is held open between calls. */
  foreign(): Promise<string | undefined> {
    return findForeign(this.#root);
  }

  async close(): Promise<void> {}

  async #open(name: string): Promise<FileHandle> {
    try {
      return await this.#root.calls.open(this.#root.pathOf(name), 'r');
    } catch (error) {
      throw saysAbsent(error) ? await this.#missing(name) : error;
    }
  }

  /** An object that seems missing because the disk was unmounted is not: that rejects differently. */
  async #missing(name: string): Promise<Error> {
    await this.#root.assertInPlace();
    return failure('object_missing', { name, location: this.location });
  }

  #deed(action: string, name: string): FsDeed {
    return { action, name, location: this.location, path: this.#root.pathOf(name) };
  }
}

async function readInPieces(
  handle: FileHandle,
  into: Uint8Array,
  start: number,
  signal: AbortSignal | undefined,
): Promise<number> {
  let at = 0;
  while (at < into.byteLength) {
    signal?.throwIfAborted();
    const found = await readFully(handle, into.subarray(at, at + readBytes), start + at);
    if (found === 0) break;
    at += found;
  }
  signal?.throwIfAborted();
  return at;
}
