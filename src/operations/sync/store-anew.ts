import { failure } from '../../kernel/errors/failure.ts';
import { defaultCompression } from '../../pipeline/codec.ts';
import { groupReads, rowsOf, shortId } from '../../repository/blob-reader.ts';
import { listMarks, readMark } from '../../repository/gc/marks.ts';
import type { IndexCache, Located } from '../../repository/index-cache.ts';
import { packObject } from '../../repository/layout.ts';
import type { Repository } from '../../repository/repository.ts';
import type { WriteSession } from '../../repository/write-session.ts';

/** Copies of a blob that are tried. */
const mostCopies = 8;

/** All packs that are marked in a place, by id. */
export async function doomedPacks(
  { storage, pipelineKeys }: Repository,
  signal: AbortSignal,
): Promise<ReadonlySet<string>> {
  const packs = new Set<string>();
  for await (const listed of listMarks(storage, signal)) {
    const mark = await readMark(storage, pipelineKeys, listed, signal);
    for (const id of mark?.contents.packs ?? []) packs.add(id);
  }
  return packs;
}

/** Begins to store blobs in new packs of a copy. */
export async function beginStoringAnew(copy: Repository, signal: AbortSignal): Promise<WriteSession> {
  return await copy.beginSession({ signal, jobs: 1, compression: defaultCompression });
}

/** Takes blobs out of packs here and stores them in new ones of the session. `blob_missing`, `blob_damaged`. */
export async function storeAnew(
  from: Repository,
  session: WriteSession,
  ids: readonly Uint8Array[],
  signal: AbortSignal,
): Promise<void> {
  const cache = await from.cache(signal);
  const found = ids.map((id) => locate(cache, id));
  const sorted = found.toSorted((a, b) =>
    a.packId === b.packId ? a.offset - b.offset : a.packId < b.packId ? -1 : 1,
  );
  for (const { blobs } of groupReads(sorted)) {
    if ((await storeTogether(from, session, blobs, signal)) === null) continue;
    for (const { id } of blobs) await storeOne(from, session, cache, id, signal);
  }
}

/** One of which a copy may be damaged. */
async function storeOne(
  from: Repository,
  session: WriteSession,
  cache: IndexCache,
  id: Uint8Array,
  signal: AbortSignal,
): Promise<void> {
  for (let attempt = 1; ; attempt += 1) {
    const found = locate(cache, id);
    const reason = await storeTogether(from, session, [found], signal);
    if (reason === null) return;
    cache.markDamaged(id, found.packId);
    if (attempt === mostCopies || cache.locate(id)?.packId === found.packId)
      throw failure('blob_damaged', { blob: shortId(id), name: packObject(found.packId), reason });
  }
}

/** Neighbours in one pack. Null, or why one of them cannot be opened. */
async function storeTogether(
  { storage }: Repository,
  session: WriteSession,
  blobs: readonly Located[],
  signal: AbortSignal,
): Promise<string | null> {
  const [group] = groupReads([...blobs]);
  if (group === undefined) return null;
  const { offset, length, packId, packSalt: salt } = group;
  const bytes = await storage.get(packObject(packId), { offset, length, signal });
  return await session.storeAgain({ salt, bytesOffset: offset, bytes, rows: rowsOf(blobs) });
}

function locate(cache: IndexCache, id: Uint8Array): Located {
  const found = cache.locate(id);
  if (found?.present !== true) throw failure('blob_missing', { blob: shortId(id) });
  return found;
}
