import type { ManualClock } from './clock.ts';
import { failure } from '../src/kernel/errors/failure.ts';
import type { MemoryStorage } from '../src/storage/memory/memory-storage.ts';
import { joinParts, partsOf } from '../src/storage/parts.ts';
import type { CallOptions, GetOptions, ObjectInfo, Storage } from '../src/storage/port.ts';

export interface Turned {
  readonly operation: 'put' | 'get' | 'list' | 'stat' | 'delete';
  readonly name: string;
}

/** What happens to a call when its turn comes. */
export type Fate =
  | 'done'
  /** It never reaches the storage. */
  | 'lost request'
  /** The storage does it, and the answer is lost. */
  | 'lost answer'
  /** The actor dies before the call is made, or just after it was. */
  | 'crash before'
  | 'crash after';

interface Pending extends Turned {
  readonly release: (fate: Fate) => void;
}

interface Version {
  readonly info: ObjectInfo;
  readonly storedAtMs: number;
  removedAtMs: number;
}

/** The death of an actor: not an error of the storage, and never tried again. */
export class Crash extends Error {}

/** A store that several actors share, and that can show listings as they were some time ago. */
export class SharedStore {
  readonly clock: ManualClock;
  readonly objects: MemoryStorage;
  readonly #versions: Version[] = [];
  /** How old the next listing is; asked for each. */
  staleMs: () => number = () => 0;

  constructor(objects: MemoryStorage, clock: ManualClock) {
    this.objects = objects;
    this.clock = clock;
  }

  async put(name: string, data: Uint8Array): Promise<void> {
    await this.objects.put(name, data);
    if (this.#versions.some(({ info, removedAtMs }) => info.name === name && removedAtMs === Infinity))
      return;
    const info = await this.objects.stat(name);
    this.#versions.push({ info, storedAtMs: this.clock.now(), removedAtMs: Infinity });
  }

  async delete(name: string): Promise<void> {
    await this.objects.delete(name);
    for (const version of this.#versions)
      if (version.info.name === name && version.removedAtMs === Infinity)
        version.removedAtMs = this.clock.now();
  }

  list(prefix: string): ObjectInfo[] {
    const at = this.clock.now() - this.staleMs();
    return this.#versions
      .filter(({ info, storedAtMs, removedAtMs }) => {
        return info.name.startsWith(prefix) && storedAtMs <= at && removedAtMs > at;
      })
      .map(({ info }) => info)
      .toSorted((a, b) => (a.name < b.name ? -1 : 1));
  }
}

/** One process among several: each of its calls waits until the scheduler gives it its turn. */
export class Actor implements Storage {
  readonly location = 'memory:';
  readonly pending: Pending[] = [];
  isDead = false;
  readonly #store: SharedStore;

  constructor(store: SharedStore) {
    this.#store = store;
  }

  async put(
    name: string,
    data: Uint8Array | readonly Uint8Array[],
    options: CallOptions = {},
  ): Promise<void> {
    const bytes = joinParts(partsOf(data));
    await this.#turn('put', name, options, () => this.#store.put(name, bytes));
  }

  async get(name: string, options: GetOptions = {}): Promise<Uint8Array> {
    return await this.#turn('get', name, options, () => this.#store.objects.get(name, options));
  }

  async stat(name: string, options: CallOptions = {}): Promise<ObjectInfo> {
    return await this.#turn('stat', name, options, () => this.#store.objects.stat(name));
  }

  async delete(name: string, options: CallOptions = {}): Promise<void> {
    await this.#turn('delete', name, options, () => this.#store.delete(name));
  }

  async *list(prefix: string, options: CallOptions = {}): AsyncGenerator<ObjectInfo, void, void> {
    yield* await this.#turn('list', prefix, options, async () => this.#store.list(prefix));
  }

  foreign(): Promise<undefined> {
    return Promise.resolve(undefined);
  }

  async close(): Promise<void> {}

  async #turn<T>(
    operation: Turned['operation'],
    name: string,
    { signal }: CallOptions,
    call: () => Promise<T>,
  ): Promise<T> {
    if (this.isDead) throw new Crash('it is dead');
    signal?.throwIfAborted();
    const fate = await new Promise<Fate>((release) => this.pending.push({ operation, name, release }));
    const reason = `injected: ${fate}`;
    if (fate === 'crash before' || this.isDead) throw this.#die(reason);
    if (fate === 'lost request') throw failure('storage_unreachable', { location: this.location, reason });
    const result = await call();
    if (fate === 'crash after') throw this.#die(reason);
    if (fate === 'lost answer') throw failure('storage_unreachable', { location: this.location, reason });
    return result;
  }

  #die(reason: string): Crash {
    this.isDead = true;
    for (const { release } of this.pending.splice(0)) release('crash before');
    return new Crash(reason);
  }
}
