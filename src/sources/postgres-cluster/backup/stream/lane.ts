import { Semaphore } from '../../../../kernel/queue.ts';

/** A whole number of windows. What a large file is cut into, and what small files are gathered in. */
export const laneBytes = 4 * 1024 * 1024;

/** Memory that bytes go to a worker in: lent by one thread, and to be given back when the worker has done with it. */
export interface Lane extends Disposable {
  readonly memory: SharedArrayBuffer;
  readonly bytes: Uint8Array;
}

/**
 * As many lanes as bound the memory of a backup: who reads from the server waits for a free one, and so does the server.
 * They are shared instead of moved, for memory that moves has to be made anew, and cleared, for every few megabytes.
 */
export class Lanes {
  readonly #places: Semaphore;
  readonly #idle: SharedArrayBuffer[] = [];

  constructor(count: number) {
    this.#places = new Semaphore(count);
  }

  async take(signal: AbortSignal): Promise<Lane> {
    const place = await this.#places.acquire(signal);
    const memory = this.#idle.pop() ?? new SharedArrayBuffer(laneBytes);
    let isLent = true;
    return {
      memory,
      bytes: new Uint8Array(memory),
      [Symbol.dispose]: () => {
        if (isLent) this.#idle.push(memory);
        isLent = false;
        place[Symbol.dispose]();
      },
    };
  }
}
