import type { WalArchiveInfo } from '../../contract/wal.ts';
import { isFailure } from '../../kernel/errors/failure.ts';
import { parseWalObject, walAboutObject, walFilesPrefix, walPrefix } from '../../repository/layout.ts';
import type { Repository } from '../../repository/repository.ts';
import type { WalArchive } from '../../repository/wal/model.ts';
import { exists } from '../../storage/exists.ts';
import { clusterBackup, type ClusterBackup } from '../recovery/backups.ts';
import { stepOf, type RepairContext } from './context.ts';
import { assertAsWritten } from './good-sources.ts';
import type { RepairStep } from './report.ts';

/**
 * Whether a recovery that came to a damaged object of WAL would notice when it was gone: when something of its timeline
 * lies behind it, or other objects have all that it has.
 */
export async function isReadWithout(
  { repository, signal }: Pick<RepairContext, 'repository' | 'signal'>,
  name: string,
): Promise<boolean> {
  const place = parseWalObject(name);
  // A history, or another small file: nothing is read past it.
  if (place === undefined) return true;
  const archive = await archiveOf(repository, name, signal);
  if (archive === undefined) return false;
  for await (const stretch of archive.stretches(place.timeline, { from: place.start }, { signal }))
    if (
      stretch.objectName !== name &&
      stretch.end > place.start + BigInt(place.partBytes ?? archive.unitBytes)
    )
      return true;
  return false;
}

async function archiveOf(
  repository: Repository,
  name: string,
  signal: AbortSignal,
): Promise<WalArchive | undefined> {
  const id = name.slice(walPrefix.length).split('/', 1)[0] ?? '';
  try {
    return await repository.findWalArchive(id, { signal });
  } catch (error) {
    if (isFailure(error, 'object_damaged')) return undefined;
    throw error;
  }
}

/** Clusters by the id of their archive, as the backups know them. */
export async function clustersOf(
  repository: Repository,
  signal: AbortSignal,
): Promise<Map<string, ClusterBackup[]>> {
  const clusters = new Map<string, ClusterBackup[]>();
  for (const name of await repository.names({ signal })) {
    try {
      const backup = clusterBackup(await repository.manifest(name, { signal }));
      if (backup === undefined) continue;
      const { wal_archive: id } = backup.metadata;
      clusters.set(id, [...(clusters.get(id) ?? []), backup]);
    } catch (error) {
      if (!isFailure(error, 'object_damaged') && !isFailure(error, 'backup_unknown')) throw error;
    }
  }
  return clusters;
}

/**
 * Puts the objects about archives back that are gone, and copies the WAL that is missing and copies have. Where nothing is
 * known to be missing, it may be the end of an archive: nothing here may tell that it went farther.
 */
export async function mendWal(context: RepairContext, isKnownMissing: boolean): Promise<void> {
  for await (const { step, put } of missingWal(context, isKnownMissing)) {
    context.signal.throwIfAborted();
    await put();
    context.tell({ ...step, quarantined: null });
  }
}

export async function planWal(context: RepairContext, isKnownMissing: boolean): Promise<RepairStep[]> {
  const steps: RepairStep[] = [];
  for await (const { step } of missingWal(context, isKnownMissing)) steps.push(step);
  return steps;
}

interface Missing {
  readonly step: RepairStep;
  readonly put: () => Promise<void>;
}

async function* missingWal(
  context: RepairContext,
  isKnownMissing: boolean,
): AsyncGenerator<Missing, void, void> {
  const { repository, sources, signal } = context;
  const clusters = await clustersOf(repository, signal);
  const known = new Set(await Array.fromAsync(repository.walArchiveIds({ signal })));
  for await (const { name: from, copy } of sources.copies()) {
    for await (const id of copy.walArchiveIds({ signal })) {
      // An archive that nothing here needs may have been dropped, as small files of what is not kept are.
      if (!isKnownMissing && !known.has(id) && !clusters.has(id)) continue;
      yield* missingAbout(context, copy, id, from);
      if (isKnownMissing) yield* missingFiles(context, copy, id, from);
      yield* missingStretches(context, copy, { id, from, backups: clusters.get(id) ?? [] });
    }
  }
  if (isKnownMissing) yield* lostAbouts(context, clusters);
}

function copied(context: RepairContext, copy: Repository, name: string, from: string): Missing {
  const { repository, signal, log } = context;
  return {
    step: stepOf('replace', name, { from }),
    put: async () => {
      const bytes = await copy.storage.get(name, { signal });
      assertAsWritten(repository, name, bytes);
      await repository.storage.put(name, bytes);
      log.info('WAL copied back', { object: name, from });
    },
  };
}

async function* missingAbout(
  context: RepairContext,
  copy: Repository,
  id: string,
  from: string,
): AsyncGenerator<Missing, void, void> {
  const name = walAboutObject(id);
  if (!(await exists(context.repository.storage, name, context.signal)))
    yield copied(context, copy, name, from);
}

async function* missingFiles(
  context: RepairContext,
  copy: Repository,
  id: string,
  from: string,
): AsyncGenerator<Missing, void, void> {
  const { repository, signal } = context;
  const here = new Set<string>();
  for await (const { name } of repository.storage.list(walFilesPrefix(id), { signal })) here.add(name);
  for await (const { name } of copy.storage.list(walFilesPrefix(id), { signal }))
    if (!here.has(name)) yield copied(context, copy, name, from);
}

/** What was dropped here on purpose, before the first WAL that is kept, is not copied back unless a backup begins there. */
async function* missingStretches(
  context: RepairContext,
  copy: Repository,
  {
    id,
    from,
    backups,
  }: { readonly id: string; readonly from: string; readonly backups: readonly ClusterBackup[] },
): AsyncGenerator<Missing, void, void> {
  const { repository, signal } = context;
  const there = await copy.findWalArchive(id, { signal });
  if (there === undefined) return;
  const here = await archiveOf(repository, `${walPrefix}${id}/`, signal);
  for (const timeline of await there.timelines({ signal })) {
    const runs = (await here?.runs(timeline, {}, { signal })) ?? [];
    const starts = backups.filter((one) => one.timeline === timeline).map(({ start }) => BigInt(start));
    const first = [...starts, ...runs.map(({ start }) => start)].toSorted((a, b) => (a < b ? -1 : 1))[0];
    if (first === undefined && backups.length === 0) continue;
    for await (const stretch of there.stretches(timeline, { from: first ?? 0n }, { signal })) {
      if (runs.some((run) => run.start <= stretch.start && run.end >= stretch.end)) continue;
      if (await exists(repository.storage, stretch.objectName, signal)) continue;
      yield copied(context, copy, stretch.objectName, from);
    }
  }
}

/** The object about an archive says nothing that the backups of its cluster do not say as well. */
async function* lostAbouts(
  context: RepairContext,
  clusters: ReadonlyMap<string, readonly ClusterBackup[]>,
): AsyncGenerator<Missing, void, void> {
  const { repository, signal } = context;
  const known = new Set(await Array.fromAsync(repository.walArchiveIds({ signal })));
  for (const [id, [backup]] of clusters) {
    const name = walAboutObject(id);
    if (known.has(id) || backup === undefined) continue;
    yield {
      step: stepOf('rebuild', name, { note: 'from what the backups know of the cluster' }),
      put: async () => void (await repository.walArchive(infoOf(backup), { signal })),
    };
  }
}

function infoOf({ source, metadata }: ClusterBackup): Omit<WalArchiveInfo, 'created_at'> {
  return {
    source,
    system_identifier: metadata.system_identifier,
    segment_bytes: metadata.wal_segment_bytes,
    postgres_major: Math.floor(metadata.server_version_num / 10_000),
  };
}
