import { parseWalObject } from '../../repository/layout.ts';
import type { BackupName } from '../../repository/model.ts';
import type { Repository } from '../../repository/repository.ts';
import { clusterBackup, type ClusterBackup } from '../recovery/backups.ts';
import type { KeptWal } from '../wal/unneeded.ts';

/**
 * Tells which objects with WAL a copy is to have: all, but for those that it would not keep by its own window and that no
 * backup needs which is about to be copied. `kept` is what the copy keeps of the archives it knows.
 */
export async function wantedWal(
  from: Repository,
  kept: KeptWal,
  wanted: readonly BackupName[],
  signal: AbortSignal,
): Promise<(name: string) => boolean> {
  if (kept.size === 0) return () => true;
  const unitBytes = new Map<string, number>();
  for await (const archive of from.walArchives({ signal })) unitBytes.set(archive.id, archive.unitBytes);
  const needed = await neededBy(from, wanted, signal);
  return (name) => {
    const object = parseWalObject(name);
    const id = name.split('/')[1] ?? '';
    const intervals = object === undefined ? undefined : kept.get(id)?.get(object.timeline);
    const wholeBytes = unitBytes.get(id);
    // Whatever else lies there, and what the copy has no opinion of.
    if (object === undefined || intervals === undefined || wholeBytes === undefined) return true;
    const { timeline, start, partBytes } = object;
    const end = start + BigInt(partBytes ?? wholeBytes);
    const isKept = intervals.some(({ from: first, to }) => end > first && (to === null || start < to));
    return (
      isKept ||
      needed.some(
        (one) =>
          one.metadata.wal_archive === id && one.timeline === timeline && end > one.start && start < one.stop,
      )
    );
  };
}

/**
 * Parts of units that only the copy has any more: a whole unit took their place where they come from, so it does here, too.
 * What lies within nothing longer stays.
 */
export async function dropPartsOf(
  copy: Repository,
  names: ReadonlySet<string>,
  signal: AbortSignal,
): Promise<void> {
  const done = new Set<string>();
  for (const name of names) {
    const object = parseWalObject(name);
    const archive = await copy.findWalArchive(name.split('/')[1] ?? '', { signal });
    if (object === undefined || archive === undefined) continue;
    const unit = object.start - (object.start % BigInt(archive.unitBytes));
    const key = `${archive.id} ${object.timeline} ${unit}`;
    if (done.has(key)) continue;
    done.add(key);
    await archive.dropParts(object.timeline, unit, { signal });
  }
}

/** Backups of clusters among those. One that cannot be read is told of when it is its turn. */
async function neededBy(
  from: Repository,
  wanted: readonly BackupName[],
  signal: AbortSignal,
): Promise<ClusterBackup[]> {
  const backups: ClusterBackup[] = [];
  for (const name of wanted) {
    const manifest = await from.manifest(name, { signal }).catch(() => undefined);
    signal.throwIfAborted();
    const backup = manifest === undefined ? undefined : clusterBackup(manifest);
    if (backup !== undefined) backups.push(backup);
  }
  return backups;
}
