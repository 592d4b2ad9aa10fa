import { failure, isFailure } from '../../kernel/errors/failure.ts';
import { partsOf, sizeOf } from '../../storage/parts.ts';
import type { CallOptions, GetOptions, ListOptions, ObjectInfo, Storage } from '../../storage/port.ts';
import type { RequestCounts } from '../../storage/requests.ts';
import { configObject, marksPrefix, needsPrefix, packsPrefix, snapshotsPrefix } from '../layout.ts';

/** Names that are made up or are hashes of bytes that nobody makes twice: who finds one taken has taken it himself. */
const ownNames: readonly string[] = [packsPrefix, snapshotsPrefix, needsPrefix];

/**
 * The storage as an agent uses it, and as its rights there may be: new objects are put and names are listed; of contents
 * only `holdfast.json` and the marks of garbage collection are read; nothing is removed. Everything else is refused here
 * already (`agent_cannot`), so that what an agent needs is what the policy of the storage says.
 */
export class AgentStorage implements Storage {
  readonly location: string;
  readonly #inner: Storage;

  constructor(inner: Storage) {
    this.location = inner.location;
    this.#inner = inner;
  }

  get requests(): RequestCounts | undefined {
    return this.#inner.requests;
  }

  async put(
    name: string,
    data: Uint8Array | readonly Uint8Array[],
    options: CallOptions = {},
  ): Promise<void> {
    try {
      await this.#inner.put(name, data, options);
    } catch (error) {
      options.signal?.throwIfAborted();
      // Where a name is taken a storage compares, which it may be denied; an answer may have been lost, too.
      if (!isFailure(error, 'object_exists') && !isFailure(error, 'storage_denied')) throw error;
      const there = await this.#find(name, options);
      if (there === undefined) throw error;
      const isOwn = ownNames.some((prefix) => name.startsWith(prefix));
      if (isOwn && there.sizeBytes === sizeOf(partsOf(data))) return;
      throw failure('object_exists', { name, location: this.location }, { cause: error });
    }
  }

  async get(name: string, options: GetOptions = {}): Promise<Uint8Array> {
    if (name !== configObject && !name.startsWith(marksPrefix))
      throw failure('agent_cannot', { what: `read ${name}` });
    return await this.#inner.get(name, options);
  }

  list(prefix: string, options?: ListOptions): AsyncIterable<ObjectInfo> {
    return this.#inner.list(prefix, options);
  }

  /** By a listing: services count asking for one object as reading it. */
  async stat(name: string, options: CallOptions = {}): Promise<ObjectInfo> {
    const found = await this.#find(name, options);
    if (found === undefined) throw failure('object_missing', { name, location: this.location });
    return found;
  }

  foreign(options?: CallOptions): Promise<string | undefined> {
    return this.#inner.foreign(options);
  }

  delete(name: string): Promise<void> {
    return Promise.reject(failure('agent_cannot', { what: `remove ${name}` }));
  }

  async close(): Promise<void> {
    await this.#inner.close();
  }

  async #find(name: string, { signal }: CallOptions): Promise<ObjectInfo | undefined> {
    for await (const found of this.#inner.list(name, { signal })) if (found.name === name) return found;
    return undefined;
  }
}
