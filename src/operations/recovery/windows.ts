import type { Lsn } from '../../postgres/lsn.ts';
import type { CallContext } from '../../repository/model.ts';
import type { ArchiveView } from './archive-view.ts';
import type { ClusterBackup } from './backups.ts';
import { latestTransaction } from './latest-transaction.ts';
import { pathFrom, reachAlong, type Reach } from './reach.ts';

/** Moments that can be recovered to along one timeline: every one from the end of the first backup on. */
export interface RecoveryWindow {
  readonly timeline: number;
  readonly from: { readonly lsn: Lsn; readonly atUs: number };
  /** The time is that of the last transaction, if one was noted. */
  readonly to: { readonly lsn: Lsn; readonly atUs: number | null };
  /** Backups that recovery can begin with, the oldest first. */
  readonly backups: readonly ClusterBackup[];
  readonly reach: Reach;
}

/** Idle servers archive segments without transactions: no more of them are looked at than that. */
const idleStretches = 128;

/** The windows of an archive along all its timelines, or one. `backups` are those whose WAL is in it. */
export async function recoveryWindows(
  view: ArchiveView,
  backups: readonly ClusterBackup[],
  { timeline: only, signal }: CallContext & { readonly timeline?: number | undefined } = {},
): Promise<RecoveryWindow[]> {
  const windows: RecoveryWindow[] = [];
  const oldestFirst = backups.toSorted((a, b) => (a.stop < b.stop ? -1 : a.stop > b.stop ? 1 : 0));
  for (const timeline of view.tree.paths.keys()) {
    if (only !== undefined && timeline !== only) continue;
    const groups = new Map<Lsn, { readonly reach: Reach; readonly backups: ClusterBackup[] }>();
    for (const backup of oldestFirst) {
      signal?.throwIfAborted();
      if (pathFrom(view.tree, backup, timeline) === undefined) continue;
      const reach = await reachAlong(view, backup, timeline);
      if (reach.end.lsn < backup.stop) continue;
      const group = groups.get(reach.end.lsn);
      if (group === undefined) groups.set(reach.end.lsn, { reach, backups: [backup] });
      else group.backups.push(backup);
    }
    for (const group of groups.values()) windows.push(await windowOf(view, timeline, group, { signal }));
  }
  return windows;
}

async function windowOf(
  view: ArchiveView,
  timeline: number,
  { reach, backups }: { readonly reach: Reach; readonly backups: readonly ClusterBackup[] },
  context: CallContext,
): Promise<RecoveryWindow> {
  const [first] = backups;
  if (first === undefined) throw new Error('a window has a backup');
  const latest = await latestTransaction(view, reach, first.stop, { ...context, limit: idleStretches });
  const lastUs = latest === undefined || latest.atUs < first.stoppedAtUs ? null : latest.atUs;
  const from = { lsn: first.stop, atUs: first.stoppedAtUs };
  return { timeline, from, to: { lsn: reach.end.lsn, atUs: lastUs }, backups, reach };
}
