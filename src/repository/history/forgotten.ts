import { randomBytes } from 'node:crypto';
import { z } from 'zod';
import { isFailure } from '../../kernel/errors/failure.ts';
import type { PipelineKeys } from '../../pipeline/keys.ts';
import type { Storage } from '../../storage/port.ts';
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

/** All records, the oldest first, one at a time. One that goes while they are read was undone: it is passed over. */
export async function* forgottenRecords(
  { storage, pipelineKeys }: HistoryPlace,
  signal?: AbortSignal,
): AsyncGenerator<ReadForgotten, void, void> {
  for await (const { name } of storage.list(forgottenPrefix, { signal })) {
    if (!isForgottenObject(name)) continue;
    try {
      yield { name, record: await readRecord(storage, pipelineKeys, name, forgottenSchema, { signal }) };
    } catch (error) {
      if (isFailure(error, 'object_missing')) continue;
      if (!isFailure(error, 'object_damaged')) throw error;
      yield { name, damage: error };
    }
  }
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
  for await (const read of forgottenRecords(place, signal)) {
    if (!('record' in read)) continue;
    const { record, name } = read;
    const others = record.backups.filter(({ id }) => id !== backup);
    if (others.length === record.backups.length) continue;
    if (others.length > 0) await putForgotten(place, { ...record, backups: others }, signal);
    await place.storage.delete(name, { signal });
  }
}
