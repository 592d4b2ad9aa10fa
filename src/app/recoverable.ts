import { formatLsn } from '../postgres/lsn.ts';
import { clusterBackup, type ClusterBackup } from '../operations/recovery/backups.ts';
import type { FindArchive } from '../operations/recovery/candidates.ts';
import { outlookOf, OutlookTimes, plainGap, type Recoverable } from '../operations/wal/recoverable.ts';
import { segmentsBetween } from '../operations/wal/segments.ts';
import type { Manifest } from '../contract/manifest.ts';
import type { Repository } from '../repository/repository.ts';
import { archiveFinder } from './recovery.ts';

/** The WAL that a backup of a cluster needs, and where recovery can go from it. */
export interface WalOfBackup {
  /** Id of the archive it is in. */
  readonly archive: string;
  /** Without what lies between these the backup cannot be restored. */
  readonly timeline: number;
  readonly from: string;
  readonly to: string;
  readonly segments: { readonly count: number; readonly first: string; readonly last: string };
  /** What of that is not there: the first gap in it, with the names of at most 16 segments. */
  readonly missing: (NonNullable<Recoverable['gap']> & { readonly segments: readonly string[] }) | null;
  /** Along each timeline that comes from the backup, ascending. */
  readonly timelines: readonly {
    readonly timeline: number;
    readonly to: { readonly lsn: string; readonly at: string | null };
    readonly gap: Recoverable['gap'];
  }[];
}

/** How far recovery gets from each of these backups, by their ids; nothing of those that are of no cluster. */
export async function recoverableOf(
  repository: Repository,
  manifests: readonly Manifest[],
  signal: AbortSignal,
): Promise<ReadonlyMap<string, Recoverable>> {
  const findArchive = archiveFinder(repository, signal);
  const times = new OutlookTimes({ signal });
  const found = new Map<string, Recoverable>();
  const backups = manifests.map(clusterBackup).filter((backup) => backup !== undefined);
  // The one that begins first has an archive listed for all the others, and its last transaction looked up.
  for (const backup of backups.toSorted((a, b) => (a.start < b.start ? -1 : a.start > b.start ? 1 : 0))) {
    signal.throwIfAborted();
    found.set(backup.id, await times.plain(backup, await outlookOf(backup, findArchive)));
  }
  return found;
}

/** Null for a backup of anything but a cluster. */
export async function walOfBackup(
  repository: Repository,
  manifest: Manifest,
  signal: AbortSignal,
): Promise<{ readonly recoverable: Recoverable; readonly wal: WalOfBackup } | null> {
  const backup = clusterBackup(manifest);
  if (backup === undefined) return null;
  const findArchive = archiveFinder(repository, signal);
  const times = new OutlookTimes({ signal });
  const outlook = await outlookOf(backup, findArchive);
  const { timeline, start, stop, metadata } = backup;
  const own = [{ timeline, from: start }];
  const needed = segmentsBetween(own, { from: start, to: stop }, metadata.wal_segment_bytes);
  const missing = 'broken' in outlook ? outlook.missing : null;
  const lacked = missing === null ? null : segmentsBetween(own, missing, metadata.wal_segment_bytes).first;
  return {
    recoverable: await times.plain(backup, outlook),
    wal: {
      archive: metadata.wal_archive,
      timeline,
      from: formatLsn(start),
      to: formatLsn(stop),
      segments: { count: needed.count, first: needed.first[0] ?? '', last: needed.last ?? '' },
      missing: missing === null || lacked === null ? null : { ...plainGap(missing), segments: lacked },
      timelines:
        'broken' in outlook
          ? []
          : await timelinesOf(backup, [...outlook.view.tree.paths.keys()], findArchive, times),
    },
  };
}

async function timelinesOf(
  backup: ClusterBackup,
  all: readonly number[],
  findArchive: FindArchive,
  times: OutlookTimes,
): Promise<WalOfBackup['timelines']> {
  const found: WalOfBackup['timelines'][number][] = [];
  for (const timeline of all) {
    const outlook = await outlookOf(backup, findArchive, timeline);
    if ('broken' in outlook) continue;
    const { to, gap } = await times.plain(backup, outlook);
    if (to !== null) found.push({ timeline, to: { lsn: to.lsn, at: to.at }, gap });
  }
  return found;
}
