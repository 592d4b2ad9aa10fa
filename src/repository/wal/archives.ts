import { createHmac } from 'node:crypto';
import { walArchiveSchema, type WalArchiveInfo } from '../../contract/wal.ts';
import type { Clock } from '../../kernel/clock.ts';
import { failure, isFailure, reasonOf } from '../../kernel/errors/failure.ts';
import type { PipelineKeys } from '../../pipeline/keys.ts';
import { isSegmentSize } from '../../postgres/wal/names.ts';
import { walAboutObject, walAboutPrefix, walArchiveIdOf } from '../layout.ts';
import { openObject, sealObject } from '../sealed-object.ts';
import { StoredWalArchive } from './archive.ts';
import type { WalArchive } from './model.ts';
import { orGone, type WalStore } from './store.ts';

/** Where archives are. */
export type WalPlaces = Pick<WalStore, 'storage' | 'keys' | 'log'>;

const maximumUnitBytes = 16 * 1024 * 1024;

/** The same cluster under the same name has the same archive, whoever asks. */
export function walArchiveId(
  keys: PipelineKeys,
  { source, system_identifier }: Pick<WalArchiveInfo, 'source' | 'system_identifier'>,
): string {
  const digest = createHmac('sha256', keys.walKey).update(`${source}\0${system_identifier}`).digest();
  return digest.toString('hex', 0, 16);
}

/** Opens an archive, or makes it where there is none. `wal_archive_differs`, `object_damaged`. */
export async function openOrMakeWalArchive(
  places: WalPlaces,
  wanted: Omit<WalArchiveInfo, 'created_at'>,
  clock: Pick<Clock, 'now'>,
  signal: AbortSignal | undefined,
): Promise<WalArchive> {
  if (!isSegmentSize(wanted.segment_bytes))
    throw new RangeError(`segments of WAL cannot have ${wanted.segment_bytes} bytes`);
  const id = walArchiveId(places.keys, wanted);
  const info =
    (await orGone(readAbout(places, id, signal))) ?? (await make(places, id, wanted, clock, signal));
  if (info.segment_bytes !== wanted.segment_bytes) {
    throw failure('wal_archive_differs', {
      source: wanted.source,
      location: places.storage.location,
      stored: info.segment_bytes,
      given: wanted.segment_bytes,
    });
  }
  return new StoredWalArchive(walStoreOf(places, id, info));
}

/** Undefined when there is none of this id. `object_damaged`. */
export async function findWalArchive(
  places: WalPlaces,
  id: string,
  signal: AbortSignal | undefined,
): Promise<WalArchive | undefined> {
  const info = await orGone(readAbout(places, id, signal));
  return info === undefined ? undefined : new StoredWalArchive(walStoreOf(places, id, info));
}

/** Ids of all archives, in order. */
export async function* listWalArchives(
  { storage }: WalPlaces,
  signal: AbortSignal | undefined,
): AsyncGenerator<string, void, void> {
  for await (const { name } of storage.list(walAboutPrefix, { signal })) {
    const id = walArchiveIdOf(name);
    if (id !== undefined) yield id;
  }
}

async function readAbout(
  { storage, keys }: WalPlaces,
  id: string,
  signal: AbortSignal | undefined,
): Promise<WalArchiveInfo> {
  const name = walAboutObject(id);
  const contents = openObject(keys, 'wal', name, await storage.get(name, { signal }), name);
  try {
    const info = walArchiveSchema.parse(JSON.parse(Buffer.from(contents).toString()));
    if (walArchiveId(keys, info) !== id) throw new Error('it tells about another archive');
    return info;
  } catch (error) {
    throw failure('object_damaged', { name, reason: reasonOf(error) }, { cause: error });
  }
}

async function make(
  places: WalPlaces,
  id: string,
  wanted: Omit<WalArchiveInfo, 'created_at'>,
  clock: Pick<Clock, 'now'>,
  signal: AbortSignal | undefined,
): Promise<WalArchiveInfo> {
  const name = walAboutObject(id);
  const info = walArchiveSchema.parse({ ...wanted, created_at: new Date(clock.now()).toISOString() });
  try {
    const contents = Buffer.from(JSON.stringify(info));
    await places.storage.put(name, sealObject(places.keys, 'wal', contents, name), { signal });
    return info;
  } catch (error) {
    // Somebody else made it at the same moment.
    if (!isFailure(error, 'object_exists')) throw error;
    return await readAbout(places, id, signal);
  }
}

/** What an archive is, for whom reads or adds to it. */
export function walStoreOf(places: WalPlaces, id: string, info: WalArchiveInfo): WalStore {
  return { ...places, id, info, unitBytes: Math.min(info.segment_bytes, maximumUnitBytes) };
}
