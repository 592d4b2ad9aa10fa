import type { Manifest } from '../../contract/manifest.ts';
import type { StreamRef } from '../../contract/stream.ts';
import { failure, isFailure, reasonOf } from '../../kernel/errors/failure.ts';
import type { Repository } from '../repository.ts';
import { walkStream } from '../walk.ts';
import type { LiveSet } from './live-set.ts';

/**
 * Adds every blob that a backup needs: those of its list of entries, of all maps, and all chunks. What was added before is
 * not looked below again. `prune_unreadable` when a list or a map cannot be read.
 */
export async function addNeeded(
  repository: Repository,
  manifest: Manifest,
  live: LiveSet,
  signal: AbortSignal,
): Promise<void> {
  const reader = await repository.reader(signal);
  const unreadable = (error: unknown): Error => {
    // Said already, by what the visitor threw.
    if (isFailure(error, 'prune_unreadable')) return error;
    if (isFailure(error) && !['integrity', 'not_found'].includes(error.kind)) return error;
    const what = `backup ${manifest.id}`;
    return failure('prune_unreadable', { what, reason: reasonOf(error) }, { cause: error });
  };
  const visitor = {
    node: (id: Uint8Array) => live.add(id),
    unreadable: (_id: Uint8Array, error: Error): void => {
      throw unreadable(error);
    },
  };
  const add = async (stream: StreamRef): Promise<void> => {
    for await (const chunks of walkStream(reader, stream, visitor, signal))
      for (const id of chunks) live.add(id);
  };
  await add(manifest.entries.stream);
  try {
    for await (const entry of repository.entries(manifest, { signal }))
      if (entry.stream !== null) await add(entry.stream);
  } catch (error) {
    signal.throwIfAborted();
    throw unreadable(error);
  }
}
