import { Semaphore } from '../kernel/queue.ts';

/** Works that run side by side, a few at a time. After one has failed no other is begun. */
export class Flight {
  readonly #places: Semaphore;
  readonly #running = new Set<Promise<void>>();
  readonly #stop: AbortController;

  /** `stop` is aborted by what fails first. */
  constructor(atOnce: number, stop: AbortController) {
    this.#places = new Semaphore(atOnce);
    this.#stop = stop;
  }

  /** Resolves as soon as there is room and the work has begun; rejects when something has failed. */
  async begin(work: () => Promise<void>): Promise<void> {
    const place = await this.#places.acquire(this.#stop.signal);
    const running = this.#run(work, place).finally(() => this.#running.delete(running));
    this.#running.add(running);
  }

  /** Resolves when nothing runs any more; whether it went well, `stop` knows. */
  async landed(): Promise<void> {
    while (this.#running.size > 0) await Promise.all(this.#running);
  }

  async #run(work: () => Promise<void>, place: Disposable): Promise<void> {
    try {
      await work();
    } catch (error) {
      this.#stop.abort(error);
    } finally {
      place[Symbol.dispose]();
    }
  }
}

/** Resolves when all have, and rejects with the first that fails only when none is under way any more. */
export async function allSettled(works: readonly Promise<unknown>[]): Promise<void> {
  for (const result of await Promise.allSettled(works)) if (result.status === 'rejected') throw result.reason;
}
