import type { Clock } from '../kernel/clock.ts';
import type { Logger } from '../kernel/log.ts';
import type { Storage } from '../storage/port.ts';
import { withLimit } from '../storage/wrap/limit.ts';
import { withLog } from '../storage/wrap/log.ts';
import { withRetry } from '../storage/wrap/retry.ts';

/** Enough to hide a network's delay, few enough for any server and for the number of open files. */
const callsAtOnce = 32;

export interface GuardOptions {
  readonly log: Logger;
  readonly clock: Clock;
  /** Uniform in [0, 1). */
  readonly random: () => number;
}

/** A storage as commands use it: every call is logged, what may pass is tried again, and not too much runs at once. */
export function guarded(storage: Storage, { log, clock, random }: GuardOptions): Storage {
  const logged = withLog(storage, log, clock);
  const retried = withRetry(logged, {
    clock,
    random,
    onRetry: ({ operation, error, attempt, delayMs }) =>
      log.warn(`storage ${operation} failed and is tried again`, { error, attempt, delayMs }),
  });
  return withLimit(retried, { concurrency: callsAtOnce });
}
