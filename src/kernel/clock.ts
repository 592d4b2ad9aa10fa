/** The time, injected so that tests decide it. */
export interface Clock {
  /** Milliseconds since 1970, UTC. */
  now(): number;
  /** Nanoseconds of a clock that never goes back; for durations only. */
  monotonicNs(): bigint;
  /** Resolves after `ms`, or rejects with the signal's reason as soon as it aborts. */
  sleep(ms: number, signal?: AbortSignal): Promise<void>;
}

export const systemClock: Clock = {
  now: () => Date.now(),
  monotonicNs: () => process.hrtime.bigint(),
  sleep: async (ms, signal) => {
    signal?.throwIfAborted();
    for (let leftMs = ms; leftMs > 0; leftMs -= longestTimerMs)
      await timer(Math.min(leftMs, longestTimerMs), signal);
  },
};

/** Node fires a longer timer at once. */
const longestTimerMs = 2 ** 31 - 1;

function timer(ms: number, signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve, reject) => {
    const onAbort = (): void => {
      clearTimeout(timeout);
      reject(signal?.reason as Error);
    };
    const timeout = setTimeout(() => {
      signal?.removeEventListener('abort', onAbort);
      resolve();
    }, ms);
    signal?.addEventListener('abort', onAbort, { once: true });
  });
}
