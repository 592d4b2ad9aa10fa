import type { Clock } from '../../kernel/clock.ts';
import { Semaphore } from '../../kernel/queue.ts';

const firstPauseMs = 1000;
const longestPauseMs = 32_000;

/**
 * Drive takes a few writes a second from one account, and tells those who send more to slow down. When one request is
 * told so, all wait: a growing time, until one gets through again.
 */
export class Pace {
  readonly #clock: Pick<Clock, 'sleep' | 'monotonicNs'>;
  readonly #places: Semaphore;
  #pauseMs = 0;
  #untilNs = 0n;

  constructor(clock: Pick<Clock, 'sleep' | 'monotonicNs'>, atOnce: number) {
    this.#clock = clock;
    this.#places = new Semaphore(atOnce);
  }

  /** A place among the requests under way, as soon as it is time; to be disposed of when the answer is there. */
  async turn(signal: AbortSignal | undefined): Promise<Disposable> {
    const place = await this.#places.acquire(signal);
    try {
      for (let left = this.#leftMs(); left > 0; left = this.#leftMs()) await this.#clock.sleep(left, signal);
      return place;
    } catch (error) {
      place[Symbol.dispose]();
      throw error;
    }
  }

  tooFast(): void {
    // Answers to what was sent at the same time say the same once more.
    if (this.#leftMs() > 0) return;
    this.#pauseMs = Math.min(longestPauseMs, Math.max(firstPauseMs, this.#pauseMs * 2));
    this.#untilNs = this.#clock.monotonicNs() + BigInt(this.#pauseMs) * 1_000_000n;
  }

  fine(): void {
    this.#pauseMs = 0;
  }

  #leftMs(): number {
    return Math.ceil(Number(this.#untilNs - this.#clock.monotonicNs()) / 1e6);
  }
}
