import { z } from 'zod';
import { isFailure } from '../../kernel/errors/failure.ts';
import { putRecord, readRecord } from '../records.ts';
import type { HistoryPlace } from './forgotten.ts';
import { pinObject, pinnedBackupOf, pinsPrefix } from './names.ts';

const pinSchema = z.strictObject({
  schema: z.literal(1),
  id: z.string().regex(/^[0-9a-f]{32}$/),
  /** For people; empty when nobody said. */
  reason: z.string(),
  pinned_at: z.iso.datetime({ precision: 3 }),
  host: z.string(),
  user: z.string(),
});

export type Pin = z.infer<typeof pinSchema>;

/** Pins a backup. One that is pinned already stays as it is; answers the pin that holds. */
export async function putPin(place: HistoryPlace, pin: Pin, signal?: AbortSignal): Promise<Pin> {
  const { storage, pipelineKeys } = place;
  try {
    await putRecord(storage, pipelineKeys, pinObject(pin.id), pinSchema.parse(pin), { signal });
    return pin;
  } catch (error) {
    if (!isFailure(error, 'object_exists')) throw error;
    return (await readPin(place, pin.id, signal)) ?? pin;
  }
}

/** Undefined when it is not pinned. A pin that is damaged still is one: then nothing but the backup's id is known. */
export async function readPin(
  { storage, pipelineKeys }: HistoryPlace,
  backup: string,
  signal?: AbortSignal,
): Promise<Pin | undefined> {
  try {
    return await readRecord(storage, pipelineKeys, pinObject(backup), pinSchema, { signal });
  } catch (error) {
    if (isFailure(error, 'object_missing')) return undefined;
    if (!isFailure(error, 'object_damaged')) throw error;
    return { schema: 1, id: backup, reason: '', pinned_at: new Date(0).toISOString(), host: '', user: '' };
  }
}

/** Ids of all backups that are pinned, from one listing. */
export async function pinnedIds({ storage }: HistoryPlace, signal?: AbortSignal): Promise<Set<string>> {
  const ids = new Set<string>();
  for await (const { name } of storage.list(pinsPrefix, { signal })) {
    const id = pinnedBackupOf(name);
    if (id !== undefined) ids.add(id);
  }
  return ids;
}

/** Why each of these is pinned, by their ids; nothing of those that are not. */
export async function pinsOf(
  place: HistoryPlace,
  backups: readonly string[],
  signal?: AbortSignal,
): Promise<ReadonlyMap<string, string>> {
  const pinned = await pinnedIds(place, signal);
  const reasons = new Map<string, string>();
  for (const id of backups) {
    const pin = pinned.has(id) ? await readPin(place, id, signal) : undefined;
    if (pin !== undefined) reasons.set(id, pin.reason);
  }
  return reasons;
}

export async function removePin(
  { storage }: HistoryPlace,
  backup: string,
  signal?: AbortSignal,
): Promise<void> {
  await storage.delete(pinObject(backup), { signal });
}
