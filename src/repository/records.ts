import type { z } from 'zod';
import { failure, reasonOf } from '../kernel/errors/failure.ts';
import type { PipelineKeys } from '../pipeline/keys.ts';
import type { CallOptions, Storage } from '../storage/port.ts';
import { openObject, sealObject } from './sealed-object.ts';

/**
 * Small sealed objects of JSON beside the backups: what was forgotten, pinned, marked or found. They are made like
 * manifests, of a type of their own, and bound to their names.
 */
export async function putRecord(
  storage: Storage,
  keys: PipelineKeys,
  name: string,
  contents: unknown,
  options: CallOptions = {},
): Promise<void> {
  const bytes = Buffer.from(JSON.stringify(contents));
  await storage.put(name, sealObject(keys, 'record', bytes, name), options);
}

/** Reads one; of those that an agent sealed only `fromAgents`. `object_missing`, `object_damaged`. */
export async function readRecord<T>(
  storage: Storage,
  keys: PipelineKeys,
  name: string,
  schema: z.ZodType<T>,
  { fromAgents, ...options }: CallOptions & { readonly fromAgents?: boolean } = {},
): Promise<T> {
  const bytes = await storage.get(name, options);
  const contents = openObject(keys, 'record', name, bytes, name, fromAgents);
  try {
    return schema.parse(JSON.parse(Buffer.from(contents).toString()));
  } catch (error) {
    throw failure('object_damaged', { name, reason: reasonOf(error) }, { cause: error });
  }
}
