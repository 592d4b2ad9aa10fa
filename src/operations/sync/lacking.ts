import type { Manifest } from '../../contract/manifest.ts';
import type { StreamRef } from '../../contract/stream.ts';
import { failure } from '../../kernel/errors/failure.ts';
import { shortId } from '../../repository/blob-reader.ts';
import type { Reliance } from '../../repository/gc/reliance.ts';
import type { IndexCache } from '../../repository/index-cache.ts';
import type { Repository } from '../../repository/repository.ts';
import { walkStream } from '../../repository/walk.ts';

/** Ids asked for together. */
const atOnce = 4096;

/**
 * The packs, by hex id and size, that a copy lacks of a backup. What it has already, it relies on from now on. Throws
 * `blob_missing` and what reading maps and lists rejects with when the backup is not whole where it comes from.
 * `visited` is the index of the copy: it keeps, over several backups, what was looked at before.
 */
export async function packsLacking(
  from: Repository,
  reliance: Reliance,
  visited: Pick<IndexCache, 'visit' | 'listedBytes'>,
  manifest: Manifest,
  signal: AbortSignal,
): Promise<ReadonlyMap<string, number>> {
  const cache = await from.cache(signal);
  const reader = await from.reader(signal);
  const packs = new Map<string, number>();
  let waiting: Uint8Array[] = [];
  const ask = (): void => {
    const ids = waiting;
    waiting = [];
    const answers = reliance.rely(Buffer.concat(ids));
    for (const [index, id] of ids.entries()) {
      if (answers[index] === 1) continue;
      const copies = cache.copiesOf(id);
      const [first] = copies;
      if (first === undefined) throw failure('blob_missing', { blob: shortId(id) });
      // Of packs that agents sealed nobody knows which one is true to its word: the copy gets all that say so.
      const wanted = first.isOfAgent ? copies : copies.filter(({ isOfAgent }) => !isOfAgent).slice(0, 1);
      for (const pack of wanted)
        if (visited.listedBytes(pack.id) !== pack.sizeBytes) packs.set(pack.id, pack.sizeBytes);
    }
  };
  const needs = (id: Uint8Array): void => {
    waiting.push(Uint8Array.from(id));
    if (waiting.length === atOnce) ask();
  };
  const visitor = {
    node: (id: Uint8Array): boolean => {
      if (!visited.visit(id)) return false;
      needs(id);
      return true;
    },
    unreadable: (_id: Uint8Array, error: Error): void => {
      throw error;
    },
  };
  const walk = async (stream: StreamRef): Promise<void> => {
    for await (const chunks of walkStream(reader, stream, visitor, signal))
      for (const id of chunks) if (visited.visit(id)) needs(id);
  };
  await walk(manifest.entries.stream);
  for await (const { stream } of from.entries(manifest, { signal })) if (stream !== null) await walk(stream);
  if (waiting.length > 0) ask();
  return packs;
}
