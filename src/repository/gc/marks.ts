import { randomBytes } from 'node:crypto';
import { z } from 'zod';
import { isFailure } from '../../kernel/errors/failure.ts';
import type { PipelineKeys } from '../../pipeline/keys.ts';
import type { Storage } from '../../storage/port.ts';
import { marksPrefix } from '../layout.ts';
import { putSigned, readSigned } from '../signed-record.ts';

/** Ids in one mark at most: some MiB of JSON. */
export const packsInMark = 16_384;

const packId = z.string().regex(/^[0-9a-f]{64}$/);
const lsn = z.string().regex(/^[0-9A-F]{1,8}\/[0-9A-F]{1,8}$/);

/** A stretch of the WAL of a timeline. */
export const walRangeSchema = z.strictObject({
  archive: z.string().regex(/^[0-9a-f]{32}$/),
  timeline: z.number().int().positive(),
  from: lsn,
  to: lsn,
});

const markSchema = z.strictObject({
  schema: z.literal(1),
  /** By the clock of the machine that marked, in milliseconds since 1970. */
  marked_at_ms: z.number().int(),
  /** How long after it was stored, by the storage's clock, what it names may be removed at the earliest. */
  grace_ms: z.number().int().positive(),
  host: z.string(),
  packs: z.array(packId).max(packsInMark),
  wal: z.array(walRangeSchema),
});

export type WalRange = z.infer<typeof walRangeSchema>;
export type MarkContents = z.infer<typeof markSchema>;

/** What is to be removed when its grace has passed and nobody needs it then. */
export interface Mark {
  readonly name: string;
  /** The run of prune that made it. */
  readonly run: string;
  /** When it was stored, by the storage's clock. */
  readonly storedAtMs: number;
  readonly contents: MarkContents;
}

const namePattern = /^gc\/marks\/(\d{8}t\d{9}z-[0-9a-f]{16})\/\d{6}$/;

/** A new id of a run, which sorts by time. */
export function newRun(nowMs: number): string {
  const time = new Date(nowMs).toISOString().replaceAll(/[-:.]/g, '').toLowerCase();
  return `${time}-${randomBytes(8).toString('hex')}`;
}

/** Stores one of the marks of a run; numbers begin with 0. Signed, not sealed: agents have to know them. */
export async function putMark(
  storage: Storage,
  keys: PipelineKeys,
  run: string,
  number: number,
  contents: MarkContents,
  signal?: AbortSignal,
): Promise<void> {
  const name = `${marksPrefix}${run}/${String(number).padStart(6, '0')}`;
  await putSigned(storage, keys, name, contents, { signal });
}

/** Of every mark there is its name and when it was stored. */
export async function* listMarks(
  storage: Storage,
  signal?: AbortSignal,
): AsyncGenerator<Omit<Mark, 'contents'>, void, void> {
  for await (const { name, modifiedAtMs } of storage.list(marksPrefix, { signal })) {
    const run = namePattern.exec(name)?.[1];
    if (run !== undefined) yield { name, run, storedAtMs: modifiedAtMs };
  }
}

/** One mark; undefined when it is gone or damaged: then nothing will be removed because of it. */
export async function readMark(
  storage: Storage,
  keys: PipelineKeys,
  mark: Omit<Mark, 'contents'>,
  signal?: AbortSignal,
): Promise<Mark | undefined> {
  try {
    return { ...mark, contents: await readSigned(storage, keys, mark.name, markSchema, { signal }) };
  } catch (error) {
    if (isFailure(error, 'object_missing') || isFailure(error, 'object_damaged')) return undefined;
    throw error;
  }
}
