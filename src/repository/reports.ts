import { randomBytes } from 'node:crypto';
import { z } from 'zod';
import { isFailure } from '../kernel/errors/failure.ts';
import type { HistoryPlace } from './history/forgotten.ts';
import { putRecord, readRecord } from './records.ts';

/** What verifications have found, and which packs and WAL they have read. */
export const reportsPrefix = 'reports/';

/** So many are kept; each of them knows all that the next verification needs. */
export const reportsKept = 30;
export const problemsInReport = 200;
export const suspectsInReport = 4096;

const instant = z.iso.datetime({ precision: 3 });
const count = z.number().int().nonnegative();
/** `[key, ms]`: from that key on, up to the next one, all was last read at that time; 0 is never. In order, the first key is ''. */
const readAtSchema = z.array(z.tuple([z.string(), count])).max(1024);

export const reportSchema = z.object({
  schema: z.literal(1),
  started_at: instant,
  finished_at: instant,
  host: z.string(),
  user: z.string(),
  level: z.enum(['structure', 'read-data', 'read-data-subset']),
  ok: z.boolean(),
  backups_checked: count,
  objects_checked: count,
  blobs_checked: count,
  blobs_read: count,
  bytes_read: count,
  /** The first of them. */
  problems: z.array(
    z.object({ code: z.string(), object: z.string(), message: z.string(), backups: z.array(z.string()) }),
  ),
  problems_total: count,
  /** When what was last read: packs by their ids, units of WAL by archive, timeline and position. */
  read_at: z.object({ packs: readAtSchema, wal: readAtSchema }),
  /** The newest backups that there were, and older ones that are gone and were not forgotten. */
  heads: z.array(z.object({ id: z.string(), sequence: count, sha256: z.string() })).max(1024),
  /** Of the highest timeline of each archive, how far its WAL went. */
  wal_ends: z.array(z.object({ archive: z.string(), timeline: count, end: z.string() })).max(4096),
  /** Packs and WAL that were found damaged by reading them, by this verification or one before it, and not read as good since. */
  suspects: z.array(z.string()).max(suspectsInReport).optional(),
  /** There were more: only reading everything tells. */
  suspects_unlisted: z.boolean().optional(),
  /** What is of concern about the place and was so from the beginning, or was accepted; null where it cannot be described. */
  accepted: z.array(z.string()).max(1024).nullable(),
});

export type VerifyRecord = z.infer<typeof reportSchema>;

const namePattern = /^reports\/\d{8}t\d{9}z-[0-9a-f]{16}$/;

/** Stores a report under a new name. Names sort by time. */
export async function putReport(
  { storage, pipelineKeys }: HistoryPlace,
  report: VerifyRecord,
  signal?: AbortSignal,
): Promise<string> {
  const time = report.finished_at.replaceAll(/[-:.]/g, '').toLowerCase();
  const name = `${reportsPrefix}${time}-${randomBytes(8).toString('hex')}`;
  await putRecord(storage, pipelineKeys, name, reportSchema.parse(report), { signal });
  return name;
}

/** Names of all reports, the oldest first. */
export async function listReports(
  { storage }: Pick<HistoryPlace, 'storage'>,
  signal?: AbortSignal,
): Promise<string[]> {
  const names: string[] = [];
  for await (const { name } of storage.list(reportsPrefix, { signal }))
    if (namePattern.test(name)) names.push(name);
  return names;
}

/** A report; undefined when it is gone, or is of another version of the program. `object_damaged`. */
export async function readReport(
  { storage, pipelineKeys }: HistoryPlace,
  name: string,
  signal?: AbortSignal,
): Promise<VerifyRecord | undefined> {
  try {
    const contents = await readRecord(storage, pipelineKeys, name, z.unknown(), { signal });
    return reportSchema.safeParse(contents).data;
  } catch (error) {
    if (isFailure(error, 'object_missing')) return undefined;
    throw error;
  }
}

/** Removes all but the newest. */
export async function dropOldReports(place: HistoryPlace, signal?: AbortSignal): Promise<void> {
  const names = await listReports(place, signal);
  for (const name of names.slice(0, -reportsKept)) await place.storage.delete(name, { signal });
}
