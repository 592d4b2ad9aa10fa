import { failure } from '../../kernel/errors/failure.ts';
import type { Clock } from '../../kernel/clock.ts';
import { assertListPrefix, assertObjectName } from '../names.ts';
import { joinParts, partsOf } from '../parts.ts';
import type { CallOptions, GetOptions, ObjectInfo, Storage } from '../port.ts';
import { assertRange, resolveRange } from '../range.ts';

interface StoredObject {
  readonly bytes: Uint8Array;
  readonly modifiedAtMs: number;
}

/** Objects in this process's memory: for tests, and gone with the process. Copies on the way in and out. */
export class MemoryStorage implements Storage {
  readonly location = 'memory:';
  readonly #clock: Pick<Clock, 'now'>;
  readonly #objects = new Map<string, StoredObject>();

  constructor(clock: Pick<Clock, 'now'>) {
    this.#clock = clock;
  }

  async put(
    name: string,
    data: Uint8Array | readonly Uint8Array[],
    options: CallOptions = {},
  ): Promise<void> {
    assertObjectName(name);
    options.signal?.throwIfAborted();
    const bytes = joinParts(partsOf(data));
    const present = this.#objects.get(name);
    if (present === undefined) {
      this.#objects.set(name, { bytes, modifiedAtMs: this.#clock.now() });
    } else if (Buffer.compare(present.bytes, bytes) !== 0) {
      throw failure('object_exists', { name, location: this.location });
    }
  }

  async get(name: string, options: GetOptions = {}): Promise<Uint8Array> {
    assertObjectName(name);
    assertRange(options);
    options.signal?.throwIfAborted();
    const { bytes } = this.#find(name);
    const { start, end } = resolveRange(options, bytes.byteLength);
    return bytes.slice(start, end);
  }

  async *list(prefix: string, options: CallOptions = {}): AsyncGenerator<ObjectInfo, void, void> {
    assertListPrefix(prefix);
    options.signal?.throwIfAborted();
    // ASCII only, so the order of UTF-16 units is the order of bytes.
    const names = [...this.#objects.keys()].filter((name) => name.startsWith(prefix)).toSorted();
    for (const name of names) {
      options.signal?.throwIfAborted();
      const object = this.#objects.get(name);
      if (object !== undefined) yield infoOf(name, object);
    }
  }

  async stat(name: string, options: CallOptions = {}): Promise<ObjectInfo> {
    assertObjectName(name);
    options.signal?.throwIfAborted();
    return infoOf(name, this.#find(name));
  }

  async delete(name: string, options: CallOptions = {}): Promise<void> {
    assertObjectName(name);
    options.signal?.throwIfAborted();
    this.#objects.delete(name);
  }

  foreign(): Promise<string | undefined> {
    return Promise.resolve(undefined);
  }

  async close(): Promise<void> {}

  #find(name: string): StoredObject {
    const object = this.#objects.get(name);
    if (object === undefined) throw failure('object_missing', { name, location: this.location });
    return object;
  }
}

function infoOf(name: string, object: StoredObject): ObjectInfo {
  return { name, sizeBytes: object.bytes.byteLength, modifiedAtMs: object.modifiedAtMs };
}
