import type { Manifest } from '../contract/manifest.ts';
import type { StreamRef } from '../contract/stream.ts';
import { isFailure } from '../kernel/errors/failure.ts';
import type { Repository } from '../repository/repository.ts';
import type { BackupName } from '../repository/model.ts';
import { walkStream } from '../repository/walk.ts';
import type { Findings } from './verify-findings.ts';

/** The path given for the list of a backup's entries. */
const entryList = '(list of entries)';

/**
 * Walks every backup once more, passing over nothing, to name those that need a damaged blob and what in them.
 * A blob of which there is another, good copy is needed by nobody in its damaged one.
 */
export async function attributeDamage(
  repository: Repository,
  names: readonly BackupName[],
  findings: Findings,
  signal: AbortSignal,
): Promise<void> {
  const cache = await repository.cache(signal);
  findings.keepDamaged((id) => {
    const found = cache.locate(id);
    return found?.present !== true || found.damaged;
  });
  for (const name of names) {
    try {
      await attributeIn(repository, await repository.manifest(name, { signal }), findings, signal);
    } catch (error) {
      signal.throwIfAborted();
      // Its manifest or list of entries is damaged: named already, and nothing more can be learnt from it.
      if (!isFailure(error) || error.kind === 'unreachable') throw error;
    }
  }
}

async function attributeIn(
  repository: Repository,
  manifest: Manifest,
  findings: Findings,
  signal: AbortSignal,
): Promise<void> {
  const reader = await repository.reader(signal);
  const walk = async (stream: StreamRef, path: string): Promise<void> => {
    const note = (id: Uint8Array): boolean => findings.attribute(id, manifest.id, path);
    const visitor = { node: (id: Uint8Array) => !note(id), unreadable: () => {} };
    for await (const chunks of walkStream(reader, stream, visitor, signal)) for (const id of chunks) note(id);
  };
  await walk(manifest.entries.stream, entryList);
  for await (const entry of repository.entries(manifest, { signal })) {
    if (entry.stream !== null) await walk(entry.stream, entry.path);
  }
}
