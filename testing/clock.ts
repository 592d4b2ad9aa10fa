import type { Clock } from '../src/kernel/clock.ts';

interface Sleeper {
  readonly wakeAtMs: number;
  readonly wake: () => void;
}

/** A clock that stands still until a test moves it. */
export class ManualClock implements Clock {
  #nowMs: number;
  readonly #startMs: number;
  readonly #sleepers = new Set<Sleeper>();
  #watchers: (() => void)[] = [];

  /** `startMs`: milliseconds since 1970. */
  constructor(startMs = Date.UTC(2026, 0, 15, 12)) {
    this.#nowMs = startMs;
    this.#startMs = startMs;
  }

  now(): number {
    return this.#nowMs;
  }

  monotonicNs(): bigint {
    return BigInt(this.#nowMs - this.#startMs) * 1_000_000n;
  }

  /** How many sleeps are under way. */
  get sleeping(): number {
    return this.#sleepers.size;
  }

  sleep(ms: number, signal?: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      if (signal?.aborted === true) {
        reject(signal.reason as Error);
        return;
      }
      const onAbort = (): void => {
        this.#sleepers.delete(sleeper);
        reject(signal?.reason as Error);
      };
      const sleeper: Sleeper = {
        wakeAtMs: this.#nowMs + ms,
        wake: () => {
          this.#sleepers.delete(sleeper);
          signal?.removeEventListener('abort', onAbort);
          resolve();
        },
      };
      signal?.addEventListener('abort', onAbort, { once: true });
      this.#sleepers.add(sleeper);
      for (const watcher of this.#watchers.splice(0)) watcher();
    });
  }

  /** Resolves as soon as somebody sleeps; then `advance` wakes them. */
  async untilSleeping(): Promise<void> {
    while (this.#sleepers.size === 0) {
      await new Promise<void>((resolve) => this.#watchers.push(resolve));
    }
  }

  /** Moves the time on and wakes, in order, whose time has come; also those who go to sleep again meanwhile. */
  async advance(ms: number): Promise<void> {
    const end = this.#nowMs + ms;
    for (;;) {
      const due = [...this.#sleepers]
        .filter((s) => s.wakeAtMs <= end)
        .toSorted((a, b) => a.wakeAtMs - b.wakeAtMs)[0];
      if (due === undefined) break;
      this.#nowMs = Math.max(this.#nowMs, due.wakeAtMs);
      due.wake();
      // Lets what was waiting run on, so that it can go to sleep again before the time moves further.
      await new Promise<void>((resolve) => setImmediate(resolve));
    }
    this.#nowMs = end;
  }
}
