import { isFailure, reasonOf } from '../../kernel/errors/failure.ts';
import type { WalStretch } from './model.ts';
import { refuseDifference } from './put.ts';
import { orGone, type WalStore } from './store.ts';
import { listUnit, readStretch } from './stretches.ts';

/**
 * As `WalArchive.dropParts`. Nothing is removed unless the longer stretch it lies in was read back; a part that holds
 * other bytes than that one stays too, and rejects with `wal_differs`.
 */
export async function dropParts(
  store: WalStore,
  timeline: number,
  unitStart: bigint,
  signal: AbortSignal | undefined,
): Promise<void> {
  const listed = await listUnit(store, timeline, unitStart, signal);
  for (const [longer, parts] of withinLonger(listed)) {
    const bytes = await orGone(readStretch(store, longer, signal));
    if (bytes === undefined) continue;
    for (const part of parts) {
      const partBytes = await readPart(store, part, signal);
      if (partBytes !== undefined)
        refuseDifference(store, { ...longer, bytes }, { ...part, bytes: partBytes });
      await remove(store, part, signal);
    }
  }
}

/** Those that lie within others, by the longest one they lie in, which lies in none itself. */
function withinLonger(listed: readonly WalStretch[]): ReadonlyMap<WalStretch, readonly WalStretch[]> {
  const longest = listed.toSorted((a, b) => Number(b.end - b.start - (a.end - a.start)));
  const found = new Map<WalStretch, WalStretch[]>();
  for (const [index, part] of longest.entries()) {
    const longer = longest.slice(0, index).find(({ start, end }) => start <= part.start && end >= part.end);
    if (longer === undefined) continue;
    const parts = found.get(longer);
    if (parts === undefined) found.set(longer, [part]);
    else parts.push(part);
  }
  return found;
}

/** Undefined for one that is damaged or gone: the longer one has its bytes. */
async function readPart(
  store: WalStore,
  part: WalStretch,
  signal: AbortSignal | undefined,
): Promise<Uint8Array | undefined> {
  try {
    return await orGone(readStretch(store, part, signal));
  } catch (error) {
    if (isFailure(error, 'object_damaged')) return undefined;
    throw error;
  }
}

async function remove(store: WalStore, part: WalStretch, signal: AbortSignal | undefined): Promise<void> {
  try {
    await store.storage.delete(part.objectName, { signal });
  } catch (error) {
    signal?.throwIfAborted();
    if (!isFailure(error)) throw error;
    const fields = { object: part.objectName, reason: reasonOf(error) };
    store.log.warn('a part of WAL that is not needed any more could not be removed', fields);
  }
}
