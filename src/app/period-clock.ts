import { earlierOf, storageNow } from '../repository/gc/storage-clock.ts';
import type { Repository } from '../repository/repository.ts';
import type { App } from './compose.ts';

/**
 * The time from which periods are counted back whose beginning makes something go (`keep_within`, `keep_wal`): that of this
 * machine, but of the storage where this machine is ahead of it, or everything would look older than it is. Milliseconds
 * since 1970. Writes and removes an object.
 */
export async function periodNow(app: App, { storage }: Repository): Promise<number> {
  const hereMs = app.machine.clock.now();
  const nowMs = earlierOf(await storageNow(storage, app.signal), hereMs);
  tellAhead(app, nowMs);
  return nowMs;
}

/** Says that the clock of this machine is ahead, if it is. */
export function tellAhead({ machine, observer }: Pick<App, 'machine' | 'observer'>, nowMs: number): void {
  const hereMs = machine.clock.now();
  // A look at the clock takes its time, too.
  if (earlierOf(nowMs, hereMs) === hereMs) return;
  observer.notice({
    level: 'warning',
    message: `the clock of this machine is ahead of the storage's: here it is ${iso(hereMs)}, there ${iso(nowMs)}; periods are counted back from the latter`,
    hint: 'set the clock of this machine right',
  });
}

const iso = (ms: number): string => new Date(ms).toISOString();
