import type { Manifest } from '../../contract/manifest.ts';
import type { StreamRef } from '../../contract/stream.ts';
import { failure, isFailure, reasonOf } from '../../kernel/errors/failure.ts';
import { shortId } from '../blob-reader.ts';
import { packObject } from '../layout.ts';
import type { Repository } from '../repository.ts';
import { walkStream } from '../walk.ts';

/**
 * Asks whether everything is still there that a forgotten backup needs: its list, every map, every chunk in a pack that
 * is listed. Throws `forget_gone`, naming the first that is not. What garbage collection has marked counts as there until
 * it is removed; so whoever puts the manifest back must do it while that cannot happen.
 */
export async function assertRestorable(
  repository: Repository,
  manifest: Manifest,
  signal: AbortSignal,
): Promise<void> {
  // Listed now: a listing from when this program began may show what was removed since.
  const cache = await repository.freshCache(0, signal);
  const reader = await repository.reader(signal);
  const gone = (what: string, cause?: unknown): Error =>
    failure('forget_gone', { id: manifest.id, what }, cause === undefined ? {} : { cause });
  // Here belongs the question whether a mark of garbage collection names a pack: what is to be removed is as good as gone.
  const present = (id: Uint8Array): void => {
    const found = cache.locate(id);
    if (found === undefined) throw gone(`chunk ${shortId(id)}`);
    if (!found.present) throw gone(packObject(found.packId));
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
}

function isDamage(error: unknown): boolean {
  return isFailure(error) && ['integrity', 'not_found'].includes(error.kind);
}
