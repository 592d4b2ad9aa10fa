import type { Manifest } from '../contract/manifest.ts';
import { isFailure } from '../kernel/errors/failure.ts';
import { clusterBackup } from '../operations/recovery/backups.ts';
import { readTimelines } from '../operations/recovery/history.ts';
import type { RetentionBackup } from '../policy/retention/model.ts';
import type { TimelinePaths, TimelineStep, WalBackup } from '../policy/wal-window.ts';
import { importedTag } from '../repository/find-backup.ts';
import { pinnedIds, readPin } from '../repository/history/pins.ts';
import type { BackupName } from '../repository/model.ts';
import type { Repository } from '../repository/repository.ts';
import type { UnreadableBackup } from './list.ts';

/** Everything that there is to keep or to forget. */
export interface Inventory {
  /** The oldest first. */
  readonly backups: readonly RetentionBackup[];
  readonly names: ReadonlyMap<string, BackupName>;
  /** Whose manifests cannot be read. No policy touches them. */
  readonly unreadable: readonly UnreadableBackup[];
}

/** Manifests that are read at once. */
const readers = 16;

export async function readInventory(repository: Repository, signal: AbortSignal): Promise<Inventory> {
  const names = await repository.names({ signal });
  const pinned = await pinnedIds(repository, signal);
  const backups: RetentionBackup[] = [];
  const unreadable: UnreadableBackup[] = [];
  for (let at = 0; at < names.length; at += readers) {
    const some = names.slice(at, at + readers);
    const read = await Promise.all(some.map((name) => readOne(repository, name, pinned, signal)));
    for (const one of read) {
      if (one === undefined) continue;
      if ('object' in one) unreadable.push(one);
      else backups.push(one);
    }
  }
  return { backups, names: new Map(names.map((name) => [name.id, name])), unreadable };
}

async function readOne(
  repository: Repository,
  name: BackupName,
  pinned: ReadonlySet<string>,
  signal: AbortSignal,
): Promise<RetentionBackup | UnreadableBackup | undefined> {
  try {
    const manifest = await repository.manifest(name, { signal });
    const pin = pinned.has(name.id) ? await readPin(repository, name.id, signal) : undefined;
    return retentionBackup(manifest, pin?.reason ?? null);
  } catch (error) {
    if (isFailure(error, 'backup_unknown')) return undefined; // removed since it was listed
    if (!isFailure(error, 'object_damaged')) throw error;
    return { id: name.id, object: name.objectName, code: error.code, message: error.message };
  }
}

function retentionBackup(manifest: Manifest, pinned: string | null): RetentionBackup {
  return {
    id: manifest.id,
    source: manifest.source.name,
    kind: manifest.source.kind,
    sequence: manifest.sequence,
    startedAtMs: Date.parse(manifest.started_at),
    tags: manifest.tags,
    pinned,
    incomplete: manifest.incomplete !== undefined,
    imported: Object.hasOwn(manifest.tags, importedTag),
    wal: walOf(manifest),
  };
}

function walOf(manifest: Manifest): WalBackup | null {
  const backup = clusterBackup(manifest);
  if (backup === undefined) return null;
  const { timeline, start, stop, stoppedAtUs, metadata } = backup;
  const consistentAtMs = Math.ceil(stoppedAtUs / 1000);
  const incomplete = backup.incomplete !== null;
  return { archive: metadata.wal_archive, timeline, start, stop, consistentAtMs, incomplete };
}

/**
 * How the timelines of the archives that these backups need come from each other. An archive is left out where that cannot be
 * told for one of its backups: its history is damaged, or missing though there are backups of older timelines.
 */
export async function timelinesFor(
  repository: Repository,
  backups: readonly RetentionBackup[],
  signal: AbortSignal,
): Promise<TimelinePaths> {
  const found = new Map<string, ReadonlyMap<number, readonly TimelineStep[]>>();
  const placed = backups.flatMap(({ wal }) => (wal === null ? [] : [wal]));
  for (const [id, own] of Map.groupBy(placed, ({ archive }) => archive)) {
    const oldest = Math.min(...own.map(({ timeline }) => timeline));
    const paths = await pathsOf(repository, id, oldest, signal);
    if (paths !== undefined) found.set(id, paths);
  }
  return found;
}

async function pathsOf(
  repository: Repository,
  id: string,
  oldestTimeline: number,
  signal: AbortSignal,
): Promise<ReadonlyMap<number, readonly TimelineStep[]> | undefined> {
  try {
    const archive = await repository.findWalArchive(id, { signal });
    if (archive === undefined) return new Map(); // Without WAL there is nothing to recover along.
    const { paths, problems } = await readTimelines(archive, { signal });
    const unclear = problems.some(({ timeline, damage }) => damage !== null || timeline > oldestTimeline);
    return unclear ? undefined : paths;
  } catch (error) {
    if (isFailure(error, 'object_damaged')) return undefined;
    throw error;
  }
}
