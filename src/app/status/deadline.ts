import { failure } from '../../kernel/errors/failure.ts';
import type { App } from '../compose.ts';

/** So long a place may take unless said otherwise. */
export const placeDeadlineMs = 15_000;

/**
 * What `work` resolves with, or `place_slow` when that takes too long: its signal is aborted then, and it is awaited no
 * longer, for not everything that hangs can be stopped.
 */
export async function within<T>(
  { machine: { clock }, signal }: Pick<App, 'machine' | 'signal'>,
  location: string,
  deadlineMs: number,
  work: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const late = new AbortController();
  const done = new AbortController();
  const alarm = clock.sleep(deadlineMs, AbortSignal.any([signal, done.signal])).then(() => {
    const seconds = Math.round(deadlineMs / 1000);
    const error = failure('place_slow', { location, seconds });
    late.abort(error);
    throw error;
  });
  const working = work(AbortSignal.any([signal, late.signal]));
  for (const promise of [alarm, working]) promise.catch(() => {});
  try {
    return await Promise.race([working, alarm]);
  } finally {
    done.abort();
  }
}
