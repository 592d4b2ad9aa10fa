import type { Clock } from '../kernel/clock.ts';

/** A sample is taken at most this often. */
const sampleMs = 100;
/** The rate is that of about so many last milliseconds. */
const windowMs = 5000;

export interface Measured {
  readonly bytesDone: number;
  /** An estimate; null when unknown. */
  readonly bytesTotal: number | null;
  readonly bytesPerSecond: number;
  /** Null when unknown. */
  readonly etaSeconds: number | null;
  readonly elapsedMs: number;
}

/** Counts the bytes of one task and tells how fast it is and how long it will take. */
export class ByteMeter {
  readonly #clock: Clock;
  readonly #startedMs: number;
  #done = 0;
  #total = 0;
  #samples: { readonly atMs: number; readonly done: number }[] = [];

  constructor(clock: Clock) {
    this.#clock = clock;
    this.#startedMs = this.nowMs();
  }

  expect(bytes: number): void {
    this.#total += bytes;
  }

  add(bytes: number): void {
    this.#done += bytes;
  }

  /** Milliseconds of a clock that only goes forward. */
  nowMs(): number {
    return Number(this.#clock.monotonicNs() / 1_000_000n);
  }

  measure(): Measured {
    const now = this.nowMs();
    const rate = this.#rate(now);
    const left = this.#total - this.#done;
    return {
      bytesDone: this.#done,
      bytesTotal: this.#total === 0 ? null : this.#total,
      bytesPerSecond: Math.round(rate),
      etaSeconds: rate > 0 && left > 0 ? Math.round(left / rate) : null,
      elapsedMs: now - this.#startedMs,
    };
  }

  #rate(now: number): number {
    const last = this.#samples.at(-1);
    if (last === undefined || now - last.atMs >= sampleMs)
      this.#samples.push({ atMs: now, done: this.#done });
    this.#samples = this.#samples.filter(({ atMs }) => now - atMs <= windowMs);
    const [first] = this.#samples;
    const since = first === undefined || first.atMs === now ? { atMs: this.#startedMs, done: 0 } : first;
    return now === since.atMs ? 0 : ((this.#done - since.done) / (now - since.atMs)) * 1000;
  }
}
