import { isFailure, reasonOf } from '../../kernel/errors/failure.ts';
import type { WalStretch } from './model.ts';
import { refuseDifference } from './put.ts';
import { orGone, type WalStore } from './store.ts';
import { listUnit, readStretch } from './stretches.ts';

/**
 * As `WalArchive.dropParts`. Nothing is removed unless the whole unit was read back; a part that holds other bytes than
 * the unit stays too, and rejects with `wal_differs`.
 */
export async function dropParts(
  store: WalStore,
  timeline: number,
  unitStart: bigint,
  signal: AbortSignal | undefined,
): Promise<void> {
  const listed = await listUnit(store, timeline, unitStart, signal);
  const parts = listed.filter(({ isWhole }) => !isWhole);
  const whole = listed.find(({ isWhole }) => isWhole);
  if (whole === undefined || parts.length === 0) return;
  const bytes = await orGone(readStretch(store, whole, signal));
  if (bytes === undefined) return;
  for (const part of parts) {
    const partBytes = await readPart(store, part, signal);
    if (partBytes !== undefined) refuseDifference(store, { ...whole, bytes }, { ...part, bytes: partBytes });
    await remove(store, part, signal);
  }
}

/** Undefined for one that is damaged or gone: the whole unit has its bytes. */
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
