/**
 * A queue that makes its producers wait: `push` resolves once there is room.
 * One consumer iterates; `close` ends the iteration after what is queued, `fail` ends both sides.
 */
export class BoundedQueue<T> implements AsyncIterable<T> {
  readonly #limit: number;
  readonly #items: T[] = [];
  #closed = false;
  #error: Error | undefined;
  #readers: (() => void)[] = [];
  #writers: (() => void)[] = [];

  constructor(limit: number) {
    this.#limit = limit;
  }

  get length(): number {
    return this.#items.length;
  }

  async push(item: T): Promise<void> {
    while (this.#items.length >= this.#limit && this.#error === undefined && !this.#closed) {
      await new Promise<void>((resolve) => this.#writers.push(resolve));
    }
    if (this.#error !== undefined) throw this.#error;
    if (this.#closed) throw new Error('pushed to a closed queue');
    this.#items.push(item);
    this.#wake(this.#readers);
  }

  close(): void {
    this.#closed = true;
    this.#wake(this.#readers);
    this.#wake(this.#writers);
  }

  fail(error: Error): void {
    this.#error ??= error;
    this.#wake(this.#readers);
    this.#wake(this.#writers);
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<T, void, void> {
    for (;;) {
      if (this.#error !== undefined) throw this.#error;
      const item = this.#items.shift();
      if (item !== undefined) {
        this.#wake(this.#writers);
        yield item;
      } else if (this.#closed) {
        return;
      } else {
        await new Promise<void>((resolve) => this.#readers.push(resolve));
      }
    }
  }

  #wake(waiting: (() => void)[]): void {
    for (const wake of waiting.splice(0)) wake();
  }
}

/** At most `limit` holders at once; `acquire` waits for a place in order of asking. */
export class Semaphore {
  #free: number;
  readonly #waiting: (() => void)[] = [];

  constructor(limit: number) {
    this.#free = limit;
  }

  async acquire(): Promise<Disposable> {
    if (this.#free > 0) this.#free -= 1;
    else await new Promise<void>((resolve) => this.#waiting.push(resolve));
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
}
