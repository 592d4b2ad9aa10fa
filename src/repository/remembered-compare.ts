import { failure, isFailure, type HoldfastError } from '../kernel/errors/failure.ts';
import { forgottenRecords } from './history/forgotten.ts';
import { snapshotsPrefix } from './layout.ts';
import { readManifestWithHash } from './manifests.ts';
import { mostPoints, type HistoryPoint } from './remembered.ts';
import type { Repository } from './repository.ts';

/** Something remembered that is not so any more. */
export interface Disagreement {
  readonly id: string;
  readonly object: string;
  readonly error: HoldfastError;
}

/**
 * Compares what is remembered of a repository with what is there. A backup that is gone and that no record of forgetting
 * names as what it was (`backup_rolled_back`) was taken away, and with `hashes` one that is there as another is named, too
 * (`backup_replaced`): so a repository shows that was put back to an earlier state, or whose newest backups were removed
 * together, which its own history cannot tell. `from` is where it is remembered, for messages.
 */
export async function compareRemembered(
  repository: Repository,
  points: readonly HistoryPoint[],
  { from, hashes, signal }: { readonly from: string; readonly hashes: boolean; readonly signal: AbortSignal },
): Promise<readonly Disagreement[]> {
  if (points.length === 0) return [];
  const there = new Map((await repository.names({ signal })).map((name) => [name.id as string, name]));
  const gone = new Map(points.filter(({ id }) => !there.has(id)).map((point) => [point.id, point]));
  if (gone.size > 0) {
    for await (const read of forgottenRecords(repository, signal)) {
      if (!('record' in read)) continue;
      for (const { id, sha256, source } of read.record.backups)
        if (source === null || gone.get(id)?.sha256 === sha256) gone.delete(id);
    }
  }
  const found: Disagreement[] = [];
  for (const { id } of gone.values())
    found.push({
      id,
      object: `${snapshotsPrefix}… of backup ${id}`,
      error: failure('backup_rolled_back', { id, from }),
    });
  if (!hashes) return found;
  for (const { id, sha256 } of points) {
    const name = there.get(id);
    if (name === undefined || [undefined, sha256].includes(await readHash(repository, name, signal)))
      continue;
    found.push({ id, object: name.objectName, error: failure('backup_replaced', { id, from }) });
  }
  return found;
}

/** The newest backups that are there and open. */
export async function readPoints(repository: Repository, signal: AbortSignal): Promise<HistoryPoint[]> {
  const points: HistoryPoint[] = [];
  for (const name of (await repository.names({ signal })).slice(-mostPoints)) {
    const { id, sequence } = name;
    const sha256 = await readHash(repository, name, signal);
    if (sha256 !== undefined) points.push({ id, sequence, sha256 });
  }
  return points;
}

type Name = Parameters<typeof readManifestWithHash>[2];

async function readHash(
  { storage, pipelineKeys }: Repository,
  name: Name,
  signal: AbortSignal,
): Promise<string | undefined> {
  try {
    return (await readManifestWithHash(storage, pipelineKeys, name, signal)).sha256;
  } catch (error) {
    // Damaged, or forgotten this moment: whoever checks the history names it.
    if (isFailure(error, 'object_damaged') || isFailure(error, 'backup_unknown')) return undefined;
    throw error;
  }
}
