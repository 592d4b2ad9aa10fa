interface WaitingPush<T> {
  readonly item: T;
  readonly accepted: () => void;
  readonly refused: (error: Error) => void;
}

/**
 * A queue that makes its producers wait: `push` resolves once there is room, in order of asking.
 * One consumer iterates; `close` ends the iteration after what is queued, `fail` ends both sides at once.
 * When the consumer stops iterating early, later and waiting pushes are refused: nobody would ever take them.
 */
export class BoundedQueue<T> implements AsyncIterable<T> {
  readonly #limit: number;
  readonly #items: T[] = [];
  readonly #writers: WaitingPush<T>[] = [];
  #readers: (() => void)[] = [];
  #closed = false;
  #error: Error | undefined;

  /** `limit`: how many items may wait for the consumer, at least 1. */
  constructor(limit: number) {
    if (!Number.isInteger(limit) || limit < 1)
      throw new RangeError(`a queue needs room for at least 1, not ${limit}`);
    this.#limit = limit;
  }

  /** Items accepted and not yet taken. */
  get length(): number {
    return this.#items.length;
  }

  push(item: T): Promise<void> {
    if (this.#error !== undefined) return Promise.reject(this.#error);
    if (this.#closed) return Promise.reject(new Error('pushed to a closed queue'));
    if (this.#items.length >= this.#limit) {
      return new Promise((accepted, refused) => this.#writers.push({ item, accepted, refused }));
    }
    this.#items.push(item);
    this.#wakeReaders();
    return Promise.resolve();
  }

  /** Idempotent. Pushes still waiting for room are refused; what was accepted is delivered. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#refuseWriters(new Error('the queue was closed while a push waited for room'));
    this.#wakeReaders();
  }

  /** Idempotent: the first error stays. What is queued is dropped. */
  fail(error: Error): void {
    if (this.#error !== undefined) return;
    this.#error = error;
    this.#items.length = 0;
    this.#refuseWriters(error);
    this.#wakeReaders();
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<T, void, void> {
    try {
      for (;;) {
        if (this.#error !== undefined) throw this.#error;
        if (this.#items.length > 0) {
          const item = this.#items.shift() as T;
          this.#admitWriter();
          yield item;
        } else if (this.#closed) {
          return;
        } else {
          await new Promise<void>((resolve) => this.#readers.push(resolve));
        }
      }
    } finally {
      if (!this.#closed || this.#items.length > 0)
        this.fail(new Error('the reader of a queue has stopped reading'));
    }
  }

  #admitWriter(): void {
    const writer = this.#writers.shift();
    if (writer === undefined) return;
    this.#items.push(writer.item);
    writer.accepted();
  }

  #refuseWriters(error: Error): void {
    for (const writer of this.#writers.splice(0)) writer.refused(error);
  }

  #wakeReaders(): void {
    for (const wake of this.#readers.splice(0)) wake();
  }
}

/** At most `limit` holders at once; `acquire` waits for a place in order of asking. */
export class Semaphore {
  readonly #waiting: (() => void)[] = [];
  #free: number;

  /** `limit`: at least 1. */
  constructor(limit: number) {
    if (!Number.isInteger(limit) || limit < 1)
      throw new RangeError(`a semaphore needs at least 1 place, not ${limit}`);
    this.#free = limit;
  }

  /** Rejects with the signal's reason when it aborts while waiting; then no place is held. */
  async acquire(signal?: AbortSignal): Promise<Disposable> {
    signal?.throwIfAborted();
    if (this.#free > 0) this.#free -= 1;
    else await this.#wait(signal);
    let released = false;
    return {
      [Symbol.dispose]: () => {
        if (released) return;
        released = true;
        const next = this.#waiting.shift();
        if (next === undefined) this.#free += 1;
        else next();
      },
    };
  }

  #wait(signal: AbortSignal | undefined): Promise<void> {
    return new Promise((resolve, reject) => {
      const onPlace = (): void => {
        signal?.removeEventListener('abort', onAbort);
        resolve();
      };
      const onAbort = (): void => {
        this.#waiting.splice(this.#waiting.indexOf(onPlace), 1);
        reject(signal?.reason as Error);
      };
      signal?.addEventListener('abort', onAbort, { once: true });
      this.#waiting.push(onPlace);
    });
  }
}
