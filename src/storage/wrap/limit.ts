import { Semaphore } from '../../kernel/queue.ts';
import type { CallOptions, Describe, GetOptions, ListOptions, ObjectInfo, Retain, Storage } from '../port.ts';
import type { RequestCounts } from '../requests.ts';

export interface LimitOptions {
  /** Calls under way at once, 1 or more. */
  readonly concurrency: number;
}

/** Lets a bounded number of calls through at once; the others wait their turn, and leave when their signal aborts. Throws a RangeError below 1. */
export function withLimit(storage: Storage, options: LimitOptions): Storage {
  if (!(options.concurrency >= 1)) {
    throw new RangeError(`a limit of ${options.concurrency} calls lets nothing through`);
  }
  return new LimitedStorage(storage, new Semaphore(options.concurrency));
}

class LimitedStorage implements Storage {
  readonly location: string;
  readonly retain: Retain | undefined;
  readonly #inner: Storage;
  readonly #places: Semaphore;

  constructor(inner: Storage, places: Semaphore) {
    this.location = inner.location;
    this.#inner = inner;
    this.#places = places;
    const { retain } = inner;
    if (retain !== undefined)
      this.retain = (name, untilMs, call = {}) =>
        this.#inTurn(call.signal, () => retain(name, untilMs, call));
  }

  get describe(): Describe | undefined {
    return this.#inner.describe;
  }

  get requests(): RequestCounts | undefined {
    return this.#inner.requests;
  }

  put(name: string, data: Uint8Array | readonly Uint8Array[], options: CallOptions = {}): Promise<void> {
    return this.#inTurn(options.signal, () => this.#inner.put(name, data, options));
  }

  get(name: string, options: GetOptions = {}): Promise<Uint8Array> {
    return this.#inTurn(options.signal, () => this.#inner.get(name, options));
  }

  stat(name: string, options: CallOptions = {}): Promise<ObjectInfo> {
    return this.#inTurn(options.signal, () => this.#inner.stat(name, options));
  }

  delete(name: string, options: CallOptions = {}): Promise<void> {
    return this.#inTurn(options.signal, () => this.#inner.delete(name, options));
  }

  foreign(options: CallOptions = {}): Promise<string | undefined> {
    return this.#inner.foreign(options);
  }

  close(): Promise<void> {
    return this.#inner.close();
  }

  /** A listing holds its place for one step at a time: its reader may well call something else between two. */
  async *list(prefix: string, options: ListOptions = {}): AsyncGenerator<ObjectInfo, void, void> {
    const items = this.#inner.list(prefix, options)[Symbol.asyncIterator]();
    try {
      for (;;) {
        const item = await this.#inTurn(options.signal, () => items.next());
        if (item.done === true) return;
        yield item.value;
      }
    } finally {
      await items.return?.();
    }
  }

  async #inTurn<T>(signal: AbortSignal | undefined, call: () => Promise<T>): Promise<T> {
    using _place = await this.#places.acquire(signal);
    return await call();
  }
}
