import { createHmac, hash } from 'node:crypto';
import { z } from 'zod';
import { isFailure } from '../kernel/errors/failure.ts';
import type { PipelineKeys } from '../pipeline/keys.ts';
import type { Storage } from '../storage/port.ts';
import { putRecord, readRecord } from './records.ts';

/** Configurations of the machines that make the backups, without their secrets. */
export const keptConfigPrefix = 'config/';

const keptConfigSchema = z.strictObject({
  schema: z.literal(1),
  host: z.string(),
  user: z.string(),
  saved_at: z.iso.datetime({ precision: 3 }),
  /** Its path there; null when there was none, and the environment was all. */
  file: z.string().nullable(),
  /** The file as it was written, with references to variables in the place of secrets; empty without a file. */
  text: z.string(),
  /** Of the text. */
  sha256: z.string().regex(/^[0-9a-f]{64}$/),
  /** Settings that the environment gave; of those that are secret only the names. */
  environment: z.array(z.strictObject({ name: z.string(), value: z.string().nullable() })),
});

export type KeptConfig = z.infer<typeof keptConfigSchema>;
/** What is kept of one, but for when and by whom. */
export type ConfigContents = Pick<KeptConfig, 'file' | 'text' | 'environment'>;

/** Where configurations lie, and with which keys they are read. */
export interface ConfigPlace {
  readonly storage: Storage;
  readonly pipelineKeys: PipelineKeys;
}

export interface KeptConfigName {
  readonly object: string;
  /** Tells hosts apart; what is of one host has the same. */
  readonly hostTag: string;
  /** Tells contents apart. */
  readonly contentsTag: string;
}

const namePattern = /^config\/\d{8}t\d{9}z-([0-9a-f]{8})([0-9a-f]{8})$/;

/** All that are there, the oldest first, from one listing. */
export async function keptConfigNames(
  { storage }: Pick<ConfigPlace, 'storage'>,
  signal?: AbortSignal,
): Promise<KeptConfigName[]> {
  const names: KeptConfigName[] = [];
  for await (const { name } of storage.list(keptConfigPrefix, { signal })) {
    const [, hostTag, contentsTag] = namePattern.exec(name) ?? [];
    if (hostTag !== undefined && contentsTag !== undefined)
      names.push({ object: name, hostTag, contentsTag });
  }
  return names;
}

/**
 * Keeps a configuration unless the newest of its host is the same: that costs one listing. Answers the name of the new
 * object; undefined when there was nothing to keep.
 */
export async function keepConfig(
  place: ConfigPlace,
  contents: ConfigContents,
  about: { readonly host: string; readonly user: string; readonly nowMs: number },
  signal?: AbortSignal,
): Promise<string | undefined> {
  const { host, user, nowMs } = about;
  const tags = tagsOf(place.pipelineKeys, host, contents);
  const newest = (await keptConfigNames(place, signal)).findLast(({ hostTag }) => hostTag === tags.host);
  if (newest?.contentsTag === tags.contents) return undefined;
  const savedAt = new Date(nowMs).toISOString();
  const time = savedAt.replaceAll(/[-:.]/g, '').toLowerCase();
  const name = `${keptConfigPrefix}${time}-${tags.host}${tags.contents}`;
  const record: KeptConfig = {
    schema: 1,
    host,
    user,
    saved_at: savedAt,
    ...contents,
    sha256: hash('sha256', contents.text, 'hex'),
  };
  await putRecord(place.storage, place.pipelineKeys, name, keptConfigSchema.parse(record), { signal });
  return name;
}

/** Reads one; undefined when it is gone. `object_damaged`. */
export async function readKeptConfig(
  { storage, pipelineKeys }: ConfigPlace,
  object: string,
  signal?: AbortSignal,
): Promise<KeptConfig | undefined> {
  try {
    return await readRecord(storage, pipelineKeys, object, keptConfigSchema, { signal });
  } catch (error) {
    if (isFailure(error, 'object_missing')) return undefined;
    throw error;
  }
}

/** Keyed, so that names tell nothing of what they name. */
function tagsOf({ blobIdKey }: PipelineKeys, host: string, contents: ConfigContents) {
  const tag = (kind: string, text: string): string =>
    createHmac('sha256', blobIdKey).update(`${kind}\0${text}`).digest('hex').slice(0, 8);
  const { file, text, environment } = contents;
  return {
    host: tag('config-host', host),
    contents: tag('config-contents', JSON.stringify([file, text, environment])),
  };
}
