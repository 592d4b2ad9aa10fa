import { failure } from '../../kernel/errors/failure.ts';
import { assertListPrefix, assertObjectName } from '../names.ts';
import { partsOf, sizeOf } from '../parts.ts';
import type { CallOptions, GetOptions, ListOptions, ObjectInfo, Storage } from '../port.ts';
import { assertRange, resolveRange } from '../range.ts';
import { statuses } from './codec.ts';
import { coded, type SftpDeed } from './errors.ts';
import { findForeign, listObjects, statObject } from './list.ts';
import { publish, removeDurably, removeTemporary, writeTemporary } from './publish.ts';
import { hasStatus, type Handle, type Remote } from './remote.ts';
import type { SftpRoot } from './root.ts';

/**
 * Objects as files of one directory tree on a server with SFTP; made by `openSftpStorage`.
 *
 * An object is written to `.tmp/`, flushed (fsync@openssh.com), hard-linked to its name, which fails where the name is
 * taken, and the folder flushed where the server can; only then does put resolve. Several clients may use one
 * directory at once. Beside the errors of the port: `storage_full`, `storage_layout`, and `sftp_…`.
 */
export class SftpStorage implements Storage {
  readonly location: string;
  readonly #root: SftpRoot;

  constructor(root: SftpRoot) {
    this.location = root.location;
    this.#root = root;
  }

  async put(
    name: string,
    data: Uint8Array | readonly Uint8Array[],
    { signal }: CallOptions = {},
  ): Promise<void> {
    assertObjectName(name);
    const parts = partsOf(data);
    const root = this.#root;
    const deed = { ...this.#deed('write', name, true), sizeBytes: sizeOf(parts) };
    await this.#run(deed, signal, async (remote) => {
      await root.assertFlushable(remote);
      const temporary = `${root.temporaryDirectory}/${root.uniqueName()}`;
      try {
        // What went wrong is asked of the server before the file is gone, as its space then seems free.
        await coded(root, remote, deed, async () => {
          await writeTemporary(root, remote, { temporary, parts, signal });
          await publish(root, remote, { name, temporary, parts, signal });
        });
      } catch (error) {
        if (remote.session.isAlive) await removeTemporary(root, remote, temporary);
        throw error;
      }
    });
  }

  async get(name: string, options: GetOptions = {}): Promise<Uint8Array> {
    assertObjectName(name);
    assertRange(options);
    const { signal } = options;
    return await this.#run(this.#deed('read', name, false), signal, async (remote) => {
      const [info, handle] = await this.#look(remote, name);
      if (info === undefined || handle === undefined) throw await this.#missing(remote, name);
      try {
        const { start, end } = resolveRange(options, info.sizeBytes);
        // Not from Node's shared pool: the caller may hand the memory on to a worker.
        const { buffer } = Buffer.allocUnsafeSlow(end - start);
        const bytes = new Uint8Array(buffer);
        return bytes.subarray(0, await remote.readInto(handle, bytes, start, signal));
      } finally {
        remote.close(handle).catch(() => undefined);
      }
    });
  }

  async *list(prefix: string, options: ListOptions = {}): AsyncGenerator<ObjectInfo, void, void> {
    assertListPrefix(prefix);
    options.signal?.throwIfAborted();
    yield* listObjects(this.#root, prefix, options);
  }

  async stat(name: string, { signal }: CallOptions = {}): Promise<ObjectInfo> {
    assertObjectName(name);
    return await this.#run(this.#deed('look at', name, false), signal, async (remote) => {
      const info = await statObject(this.#root, remote, name);
      if (info === undefined) throw await this.#missing(remote, name);
      return info;
    });
  }

  async delete(name: string, { signal }: CallOptions = {}): Promise<void> {
    assertObjectName(name);
    const deed = this.#deed('delete', name, true);
    await this.#run(deed, signal, (remote) => removeDurably(this.#root, remote, name));
  }

  foreign({ signal }: CallOptions = {}): Promise<string | undefined> {
    return findForeign(this.#root, signal);
  }

  close(): Promise<void> {
    return this.#root.connections.close();
  }

  /** Size and handle, asked for together; either may be undefined where there is no such object. */
  async #look(remote: Remote, name: string): Promise<readonly [ObjectInfo | undefined, Handle | undefined]> {
    const opening = remote.open(this.#root.pathOf(name)).catch((error: unknown) => {
      if (hasStatus(error, statuses.noSuchFile)) return undefined;
      throw error;
    });
    const [looked, opened] = await Promise.allSettled([statObject(this.#root, remote, name), opening]);
    const handle = opened.status === 'fulfilled' ? opened.value : undefined;
    const isGood = looked.status === 'fulfilled' && looked.value !== undefined;
    if (handle !== undefined && !isGood) remote.close(handle).catch(() => undefined);
    if (looked.status === 'rejected') throw looked.reason;
    // A folder, or another strange thing, may well refuse to be opened: no object either.
    if (opened.status === 'rejected' && looked.value !== undefined) throw opened.reason;
    return [looked.value, handle];
  }

  /** An object that seems missing because the server's disk was unmounted is not: that rejects differently. */
  async #missing(remote: Remote, name: string): Promise<Error> {
    await this.#root.assertInPlace(remote);
    return failure('object_missing', { name, location: this.location });
  }

  #run<T>(deed: SftpDeed, signal: AbortSignal | undefined, work: (remote: Remote) => Promise<T>): Promise<T> {
    const root = this.#root;
    return root.connections.run((remote) => coded(root, remote, deed, () => work(remote)), signal);
  }

  #deed(action: string, name: string, changes: boolean): SftpDeed {
    return { action, name, path: this.#root.pathOf(name), changes };
  }
}
