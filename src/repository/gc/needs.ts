import { z } from 'zod';
import { isFailure } from '../../kernel/errors/failure.ts';
import type { PipelineKeys } from '../../pipeline/keys.ts';
import type { Storage } from '../../storage/port.ts';
import { needsPrefix } from '../layout.ts';
import { putRecord, readRecord } from '../records.ts';

const needsSchema = z.strictObject({
  schema: z.literal(1),
  host: z.string(),
  /** Every marked pack that the session relies on, those it has announced before included. */
  packs: z.array(z.string().regex(/^[0-9a-f]{64}$/)),
});

const namePattern = /^gc\/needs\/([0-9a-f]{32})-(\d{6})$/;

/** Says that a running session needs these packs though they are marked. Resolves with the storage's time. */
export async function announce(
  storage: Storage,
  keys: PipelineKeys,
  session: string,
  number: number,
  contents: { readonly host: string; readonly packs: readonly string[] },
  signal?: AbortSignal,
): Promise<number> {
  const name = `${needsPrefix}${session}-${String(number).padStart(6, '0')}`;
  await putRecord(storage, keys, name, { schema: 1, ...contents }, { signal });
  return (await storage.stat(name, { signal })).modifiedAtMs;
}

/** An announcement: what it says, or null when it cannot be read. */
export interface Announcement {
  readonly name: string;
  readonly storedAtMs: number;
  readonly packs: readonly string[] | null;
}

/** All announcements there are, old ones too; one that is removed meanwhile is passed over. */
export async function* announcements(
  storage: Storage,
  keys: PipelineKeys,
  signal?: AbortSignal,
): AsyncGenerator<Announcement, void, void> {
  for await (const { name, modifiedAtMs } of storage.list(needsPrefix, { signal })) {
    if (!namePattern.test(name)) continue;
    try {
      const { packs } = await readRecord(storage, keys, name, needsSchema, { signal, fromAgents: true });
      yield { name, storedAtMs: modifiedAtMs, packs };
    } catch (error) {
      if (isFailure(error, 'object_missing')) continue;
      if (!isFailure(error, 'object_damaged')) throw error;
      yield { name, storedAtMs: modifiedAtMs, packs: null };
    }
  }
}
