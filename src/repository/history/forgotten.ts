import { createHmac, randomBytes } from 'node:crypto';
import { z } from 'zod';
import { isFailure } from '../../kernel/errors/failure.ts';
import type { PipelineKeys } from '../../pipeline/keys.ts';
import type { Storage } from '../../storage/port.ts';
import { canonicalJson } from '../checked-json.ts';
import { putRecord, readRecord } from '../records.ts';
import { forgottenObject, forgottenPrefix, isForgottenObject } from './names.ts';

const instant = z.iso.datetime({ precision: 3 });

const forgottenBackupSchema = z.strictObject({
  id: z.string().regex(/^[0-9a-f]{32}$/),
  sequence: z.number().int().positive(),
  /** Of its manifest; the trash has it under the same name but for the folder. */
  object_name: z.string(),
  /** Of the manifest's sealed bytes: what the manifests of later backups name it by. */
  sha256: z.string().regex(/^[0-9a-f]{64}$/),
  /** Null when the manifest could not be read. */
  source: z.string().nullable(),
  started_at: instant,
  /** Why no rule keeps it, for people. */
  why: z.array(z.string()),
});

/** What one run has forgotten. */
export const forgottenSchema = z.strictObject({
  schema: z.literal(1),
  forgotten_at: instant,
  host: z.string(),
  user: z.string(),
  /** What asked for it: a policy, or a person. */
  reason: z.string(),
  backups: z.array(forgottenBackupSchema),
});

export type ForgottenBackup = z.infer<typeof forgottenBackupSchema>;
export type ForgottenRecord = z.infer<typeof forgottenSchema>;

/** Where records lie, and with which keys they are read. */
export interface HistoryPlace {
  readonly storage: Storage;
  readonly pipelineKeys: PipelineKeys;
}

/** Stores a record under a new name, and answers the name. */
export async function putForgotten(
  { storage, pipelineKeys }: HistoryPlace,
  record: ForgottenRecord,
  signal?: AbortSignal,
): Promise<string> {
  const random = randomBytes(8).toString('hex');
  const name = forgottenObject(Date.parse(record.forgotten_at), random);
  await putRecord(storage, pipelineKeys, name, forgottenSchema.parse(record), { signal });
  return name;
}

/** A record and its name; or why it cannot be read. */
export type ReadForgotten =
  | { readonly name: string; readonly record: ForgottenRecord }
  | { readonly name: string; readonly damage: Error };

/** Records that are read at once. */
const readsAtOnce = 8;

/** All records, the oldest first, one at a time. One that goes while they are read was undone: it is passed over. */
export async function* forgottenRecords(
  place: HistoryPlace,
  signal?: AbortSignal,
): AsyncGenerator<ReadForgotten, void, void> {
  const ahead: Promise<ReadForgotten | undefined>[] = [];
  for await (const { name } of place.storage.list(forgottenPrefix, { signal })) {
    if (!isForgottenObject(name)) continue;
    const reading = readForgotten(place, name, signal);
    // Told of when it is its turn.
    reading.catch(() => {});
    ahead.push(reading);
    if (ahead.length < readsAtOnce) continue;
    const read = await ahead.shift();
    if (read !== undefined) yield read;
  }
  for (const reading of ahead) {
    const read = await reading;
    if (read !== undefined) yield read;
  }
}

/** One record; undefined when it is gone. */
export async function readForgotten(
  { storage, pipelineKeys }: HistoryPlace,
  name: string,
  signal?: AbortSignal,
): Promise<ReadForgotten | undefined> {
  try {
    return { name, record: await readRecord(storage, pipelineKeys, name, forgottenSchema, { signal }) };
  } catch (error) {
    if (isFailure(error, 'object_missing')) return undefined;
    if (!isFailure(error, 'object_damaged')) throw error;
    return { name, damage: error };
  }
}

/**
 * The name of a record that tells what was forgotten in another place of the repository. It follows from what the record
 * says, so that everybody can tell such a record from one of the place's own, and that it is never there twice.
 */
export function copiedForgottenObject(
  { pipelineKeys: { blobIdKey } }: Pick<HistoryPlace, 'pipelineKeys'>,
  record: ForgottenRecord,
): string {
  const tag = createHmac('sha256', blobIdKey)
    .update(`forgotten-copied\0${canonicalJson(record)}`)
    .digest('hex');
  return forgottenObject(Date.parse(record.forgotten_at), tag.slice(0, 16));
}

/** Whether a record came from another place of the repository: it explains gaps, and forgets nothing here. */
export function isCopiedForgotten(
  place: Pick<HistoryPlace, 'pipelineKeys'>,
  { name, record }: { readonly name: string; readonly record: ForgottenRecord },
): boolean {
  return name === copiedForgottenObject(place, record);
}

/** Stores what was forgotten in another place, and answers the name. It may be there already. */
export async function putCopiedForgotten(
  place: HistoryPlace,
  record: ForgottenRecord,
  signal?: AbortSignal,
): Promise<string> {
  const { storage, pipelineKeys } = place;
  const name = copiedForgottenObject(place, record);
  try {
    await putRecord(storage, pipelineKeys, name, forgottenSchema.parse(record), { signal });
  } catch (error) {
    // Sealed anew it has other bytes, and says the same.
    if (!isFailure(error, 'object_exists')) throw error;
  }
  return name;
}

/**
 * Takes a backup that is there again out of the records: it counts as forgotten no longer, so if it should vanish, that
 * shows. What else a record tells is stored anew before the old one goes.
 */
export async function takeOutOfForgotten(
  place: HistoryPlace,
  backup: string,
  signal?: AbortSignal,
): Promise<void> {
  const backups = new Set([backup]);
  for await (const read of forgottenRecords(place, signal))
    if ('record' in read) await takeOutOfRecord(place, read, backups, isCopiedForgotten(place, read), signal);
}

/** Takes backups out of one record; what it is stored as then, a record of this place's own or a copied one, is said. */
export async function takeOutOfRecord(
  place: HistoryPlace,
  { name, record }: { readonly name: string; readonly record: ForgottenRecord },
  backups: ReadonlySet<string>,
  asCopied: boolean,
  signal?: AbortSignal,
): Promise<void> {
  const others = record.backups.filter(({ id }) => !backups.has(id));
  if (others.length === record.backups.length) return;
  const rest = { ...record, backups: others };
  if (others.length > 0) await (asCopied ? putCopiedForgotten : putForgotten)(place, rest, signal);
  await place.storage.delete(name, { signal });
}
