import { isFailure } from '../../kernel/errors/failure.ts';
import { footerEntryBytes, readEntries, recordHeaderBytes, writeEntry } from '../../pipeline/pack-format.ts';
import type { BlobLocation } from '../../pipeline/blob.ts';
import { shortId } from '../../repository/blob-reader.ts';
import type { IndexCache } from '../../repository/index-cache.ts';
import type { IndexedPack } from '../../repository/index-object.ts';
import { packObject } from '../../repository/layout.ts';
import { indexFromPack } from '../../repository/pack-recovery.ts';
import type { Repository } from '../../repository/repository.ts';
import type { WriteSession } from '../../repository/write-session.ts';
import type { RepairContext } from './context.ts';

/** Blobs are opened together up to so many plain bytes. */
const plainBytesAtOnce = 8 * 1024 * 1024;
/** Other copies of one chunk in one place, at most. */
const triesInOnePlace = 3;

/** What of a damaged pack can be read, and what cannot. */
export interface Salvage {
  readonly contents: IndexedPack;
  readonly good: readonly BlobLocation[];
  readonly bad: readonly BlobLocation[];
}

/** Looks at every chunk of a damaged pack; undefined when nothing is known of what it holds. */
export async function examinePack(
  { repository, signal }: RepairContext,
  id: string,
  bytes: Uint8Array,
): Promise<Salvage | undefined> {
  const cache = await repository.cache(signal);
  const contents = cache.packContents(id) ?? (await walked(repository, id, bytes.length, signal));
  if (contents === undefined) return undefined;
  const { salt, entries } = contents;
  const found = await repository.workers().checkPack({ id, bytes: Uint8Array.from(bytes), salt, entries });
  const damaged = new Set(found.blobs.map((blob) => blob.id));
  const blobs = [...readEntries(entries)];
  const isBad = ({ id: blob }: BlobLocation): boolean => damaged.has(Buffer.from(blob).toString('hex'));
  return { contents, good: blobs.filter((blob) => !isBad(blob)), bad: blobs.filter(isBad) };
}

async function walked(
  { storage, pipelineKeys }: Repository,
  id: string,
  sizeBytes: number,
  signal: AbortSignal,
): Promise<IndexedPack | undefined> {
  try {
    return await indexFromPack(storage, pipelineKeys, id, sizeBytes, signal);
  } catch (error) {
    if (isFailure(error, 'object_damaged') || isFailure(error, 'object_missing')) return undefined;
    throw error;
  }
}

/** Stores chunks of a pack anew that can be read. */
export async function storeGood(
  session: WriteSession,
  bytes: Uint8Array,
  { contents, good }: Salvage,
): Promise<void> {
  let group: BlobLocation[] = [];
  let plainBytes = 0;
  const flush = async (): Promise<void> => {
    const blobs = group;
    group = [];
    plainBytes = 0;
    if (blobs.length === 0) return;
    const damage = await session.storeAgain(requestOf(contents.salt, bytes, blobs));
    if (damage !== null) throw new Error(`${packObject(contents.id)} reads differently each time: ${damage}`);
  };
  for (const blob of good) {
    if (plainBytes + blob.rawLength > plainBytesAtOnce) await flush();
    group.push(blob);
    plainBytes += blob.rawLength;
  }
  await flush();
}

function requestOf(salt: Uint8Array, pack: Uint8Array, blobs: readonly BlobLocation[]) {
  const from = Math.min(...blobs.map(({ offset }) => offset));
  const to = Math.max(...blobs.map((blob) => blob.offset + recordHeaderBytes + blob.storedLength));
  const rows = Buffer.alloc(blobs.length * footerEntryBytes);
  blobs.forEach((blob, index) => writeEntry(rows, index * footerEntryBytes, blob));
  return { salt, bytesOffset: from, bytes: Uint8Array.from(pack.subarray(from, to)), rows };
}

/**
 * Makes sure that a chunk is to be had from a pack that stays: one that is there already and opens, or a new one, made of
 * what another pack here or a copy has. Resolves with who had it; undefined when nobody has.
 */
export async function secureChunk(
  context: RepairContext,
  session: WriteSession,
  id: Uint8Array,
): Promise<string | undefined> {
  const { repository, sources, signal } = context;
  const cache = await repository.cache(signal);
  if (cache.present(id)[0] === 1 && (await opens(repository, id, signal)) && cache.present(id)[0] === 1)
    return 'here';
  if (await takeFrom(context, session, repository, cache, id)) return 'here';
  for await (const { name, copy } of sources.copies())
    if (await takeFrom(context, session, copy, await copy.cache(signal), id)) return name;
  return undefined;
}

async function opens(repository: Repository, id: Uint8Array, signal: AbortSignal): Promise<boolean> {
  try {
    await (await repository.reader(signal)).read(id, signal);
    return true;
  } catch (error) {
    if (isFailure(error) && ['integrity', 'not_found'].includes(error.kind)) return false;
    throw error;
  }
}

/** Copies of a chunk that turn out to be damaged are marked as such, so another one is found the next time. */
async function takeFrom(
  { log, signal }: RepairContext,
  session: WriteSession,
  place: Repository,
  cache: IndexCache,
  id: Uint8Array,
): Promise<boolean> {
  for (let attempt = 1; attempt <= triesInOnePlace; attempt += 1) {
    const found = cache.locate(id);
    if (found?.present !== true || (attempt > 1 && found.damaged)) return false;
    const name = packObject(found.packId);
    try {
      const length = recordHeaderBytes + found.storedLength;
      const bytes = await place.storage.get(name, { offset: found.offset, length, signal });
      const rows = Buffer.alloc(footerEntryBytes);
      writeEntry(rows, 0, found);
      const request = { salt: found.packSalt, bytesOffset: found.offset, bytes, rows };
      const damage = await session.storeAgain(request);
      if (damage === null) return true;
      log.warn('a chunk is damaged there, too', {
        chunk: shortId(id),
        place: place.storage.location,
        pack: name,
      });
    } catch (error) {
      if (!isFailure(error, 'object_missing')) throw error;
    }
    cache.markDamaged(id, found.packId);
  }
  return false;
}

/** Whether a copy seems to have a chunk: for plans. */
export async function hasChunk(
  { repository, sources, signal }: RepairContext,
  id: Uint8Array,
): Promise<string | undefined> {
  const own = (await repository.cache(signal)).locate(id);
  if (own?.present === true && !own.damaged) return 'here';
  for await (const { name, copy } of sources.copies())
    if ((await copy.cache(signal)).locate(id)?.present === true) return name;
  return undefined;
}
