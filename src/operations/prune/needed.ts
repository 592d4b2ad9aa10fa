import type { Manifest } from '../../contract/manifest.ts';
import { failure, isFailure, reasonOf } from '../../kernel/errors/failure.ts';
import type { LiveSet } from '../../repository/gc/live-set.ts';
import { addNeeded } from '../../repository/gc/needed.ts';
import { announcements } from '../../repository/gc/needs.ts';
import { assertAllThere, readSeen } from '../../repository/gc/seen.ts';
import { forgottenRecords } from '../../repository/history/forgotten.ts';
import type { BackupName } from '../../repository/model.ts';
import type { Repository } from '../../repository/repository.ts';
import type { HeldTurn, PruneOptions } from './options.ts';
import type { Run } from './runs.ts';

/**
 * Adds everything that any backup needs; resolves with the ids of all backups. Every backup that a run has seen, or that
 * another backup names as its predecessor, must be there or have been forgotten.
 */
export async function addAllNeeded(
  repository: Repository,
  live: LiveSet,
  runs: readonly Run[],
  { signal, progress }: PruneOptions,
  turn: HeldTurn,
): Promise<readonly string[]> {
  const names = await repository.names({ signal });
  // Behind the backups: what those need that have just ended is listed, too.
  await repository.freshCache(0, signal);
  const there = new Set<string>(names.map(({ id }) => id));
  const forgotten = await forgottenIds(repository, signal);
  for (const run of runs) {
    const seen = await readSeen(repository, run.id, signal);
    if (seen !== undefined) assertAllThere(seen, there, forgotten);
  }
  const vanished: string[] = [];
  for (const name of names) {
    await turn.stay();
    progress.phase(`finding out what backup ${name.id.slice(0, 8)} needs`);
    const manifest = await readManifest(repository, name, signal);
    if (manifest === undefined) {
      vanished.push(name.id);
      continue;
    }
    const predecessors = manifest.previous.map(({ id }) => id);
    assertAllThere(predecessors, there, forgotten);
    await addNeeded(repository, manifest, live, signal);
  }
  // Forgotten since they were listed, or by a listing that lags behind.
  if (vanished.length > 0) assertAllThere(vanished, new Set(), await forgottenIds(repository, signal));
  const { homeless, example } = await live.settle();
  if (homeless > 0)
    throw failure('prune_incomplete', { count: homeless, example: (example ?? '').slice(0, 16) });
  return names.map(({ id }) => id);
}

/**
 * Packs that sessions need though they are marked; to be asked before the backups are listed, for whoever has announced and
 * finished since is among those then. One that cannot be read stops everything: it might be any of them. `isOld` says which
 * announcements are long over; those are removed unless it is a dry run.
 */
export async function announcedPacks(
  { storage, pipelineKeys }: Repository,
  isOld: (storedAtMs: number) => boolean,
  { signal, dryRun }: PruneOptions,
): Promise<ReadonlySet<string>> {
  const announced = new Set<string>();
  for await (const { name, storedAtMs, packs } of announcements(storage, pipelineKeys, signal)) {
    if (isOld(storedAtMs)) {
      if (!dryRun) await storage.delete(name, { signal });
    } else if (packs === null) {
      throw failure('prune_unreadable', { what: 'a running backup', reason: `${name} is damaged` });
    } else {
      for (const id of packs) announced.add(id);
    }
  }
  return announced;
}

/** Undefined when it is gone since it was listed. */
async function readManifest(
  repository: Repository,
  name: BackupName,
  signal: AbortSignal,
): Promise<Manifest | undefined> {
  try {
    return await repository.manifest(name, { signal });
  } catch (error) {
    if (isFailure(error, 'backup_unknown')) return undefined;
    if (!isFailure(error, 'object_damaged')) throw error;
    const what = `backup ${name.id}`;
    throw failure('prune_unreadable', { what, reason: reasonOf(error) }, { cause: error });
  }
}

/** Ids of all backups that were forgotten and not taken back. A record that is damaged explains nothing. */
async function forgottenIds(repository: Repository, signal: AbortSignal): Promise<ReadonlySet<string>> {
  const ids = new Set<string>();
  for await (const read of forgottenRecords(repository, signal))
    if ('record' in read) for (const { id } of read.record.backups) ids.add(id);
  return ids;
}
