import type { Manifest } from '../../contract/manifest.ts';
import type { StreamRef } from '../../contract/stream.ts';
import { failure, isFailure, reasonOf } from '../../kernel/errors/failure.ts';
import { shortId } from '../blob-reader.ts';
import { packObject } from '../layout.ts';
import type { Repository } from '../repository.ts';
import { walkStream } from '../walk.ts';

/**
 * Asks whether everything is still there that a forgotten backup needs: its list, every map, every chunk in a pack that
 * is listed. Throws `forget_gone`, naming the first that is not. What garbage collection has marked is announced as needed
 * (not with `lookOnly`), so that it stays for whoever puts the manifest back now; what is about to be removed counts as gone.
 */
export async function assertRestorable(
  repository: Repository,
  manifest: Manifest,
  signal: AbortSignal,
  lookOnly: boolean,
): Promise<void> {
  // Listed now: a listing from when this program began may show what was removed since.
  const cache = await repository.freshCache(0, signal);
  const reliance = await repository.beginReliance(signal);
  const reader = await repository.reader(signal);
  const gone = (what: string, cause?: unknown): Error =>
    failure('forget_gone', { id: manifest.id, what }, cause === undefined ? {} : { cause });
  const present = (id: Uint8Array): void => {
    if (reliance.rely(id)[0] !== 0) return;
    const found = cache.locate(id);
    throw gone(found === undefined ? `chunk ${shortId(id)}` : packObject(found.packId));
  };
  cache.beginWalk();
  const visitor = {
    node: (id: Uint8Array): boolean => {
      if (!cache.visit(id)) return false;
      present(id);
      return true;
    },
    unreadable: (id: Uint8Array, error: Error): void => {
      throw isDamage(error) ? gone(`map ${shortId(id)}`, error) : error;
    },
  };
  const visit = async (stream: StreamRef): Promise<void> => {
    for await (const chunks of walkStream(reader, stream, visitor, signal))
      for (const id of chunks) if (cache.visit(id)) present(id);
  };
  await visit(manifest.entries.stream);
  try {
    for await (const entry of repository.entries(manifest, { signal }))
      if (entry.stream !== null) await visit(entry.stream);
  } catch (error) {
    signal.throwIfAborted();
    throw isDamage(error) ? gone(`its list of entries (${reasonOf(error)})`, error) : error;
  }
  if (lookOnly) return;
  try {
    await reliance.settle(signal);
  } catch (error) {
    if (isFailure(error, 'pack_doomed') || isFailure(error, 'pack_lost')) throw gone(error.message, error);
    throw error;
  }
}

function isDamage(error: unknown): boolean {
  return isFailure(error) && ['integrity', 'not_found'].includes(error.kind);
}
