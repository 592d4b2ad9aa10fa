import { z } from 'zod';
import { failure, isFailure } from '../../kernel/errors/failure.ts';
import type { Repository } from '../repository.ts';
import { seenPrefix } from '../layout.ts';
import { putRecord, readRecord } from '../records.ts';

const seenSchema = z.strictObject({
  schema: z.literal(1),
  /** Ids of all backups that there were when the run marked. */
  backups: z.array(z.string().regex(/^[0-9a-f]{32}$/)),
});

/** Notes which backups a run knew of: when it comes to removing, each of them must be there or have been forgotten. */
export async function putSeen(
  { storage, pipelineKeys }: Repository,
  run: string,
  backups: readonly string[],
  signal: AbortSignal,
): Promise<void> {
  await putRecord(storage, pipelineKeys, `${seenPrefix}${run}`, { schema: 1, backups }, { signal });
}

/** The backups that a run knew of; undefined when its record is gone or damaged: then the run removes nothing. */
export async function readSeen(
  { storage, pipelineKeys }: Repository,
  run: string,
  signal: AbortSignal,
): Promise<readonly string[] | undefined> {
  try {
    const seen = await readRecord(storage, pipelineKeys, `${seenPrefix}${run}`, seenSchema, { signal });
    return seen.backups;
  } catch (error) {
    if (isFailure(error, 'object_missing') || isFailure(error, 'object_damaged')) return undefined;
    throw error;
  }
}

/** Throws `prune_backups_missing` when one of `expected` is neither there nor forgotten. */
export function assertAllThere(
  expected: Iterable<string>,
  there: ReadonlySet<string>,
  forgotten: ReadonlySet<string>,
): void {
  const missing = new Set<string>();
  for (const id of expected) if (!there.has(id) && !forgotten.has(id)) missing.add(id);
  const [example] = missing;
  if (example !== undefined) throw failure('prune_backups_missing', { count: missing.size, example });
}
