import { z } from 'zod';
import { readRecord } from '../records.ts';
import type { Repository } from '../repository.ts';

const prefix = 'forgotten/';
/** Only what is needed here of a record of forgotten backups. */
const forgottenSchema = z.looseObject({ backups: z.array(z.looseObject({ id: z.string() })) });

/** Ids of all backups that were ever forgotten, by the records of it. `object_damaged` when one cannot be read. */
export async function forgottenIds(
  { storage, pipelineKeys }: Repository,
  signal: AbortSignal,
): Promise<ReadonlySet<string>> {
  const ids = new Set<string>();
  for await (const { name } of storage.list(prefix, { signal })) {
    const { backups } = await readRecord(storage, pipelineKeys, name, forgottenSchema, { signal });
    for (const { id } of backups) ids.add(id);
  }
  return ids;
}
