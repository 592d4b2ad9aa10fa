import { tryTarget } from './attempt.ts';
import type { ClusterBackup } from './backups.ts';
import { candidateOf, type FindArchive } from './candidates.ts';
import { chooseTimeline } from './reach.ts';
import { isMiss, type Miss, type MissedBackup, type RecoveryWish, type Search } from './target-model.ts';

/** Only of these can another timeline be free: the others are about the backup. */
const ofTimeline: ReadonlySet<Miss['miss']> = new Set<Miss['miss']>([
  'in_gap',
  'in_future',
  'unknown',
  'timeline',
]);

/** The newest of the other timelines on which the target is that was refused; undefined when it is on none. */
export async function timelineWithTarget(
  wish: RecoveryWish,
  backups: readonly ClusterBackup[],
  missed: readonly MissedBackup[],
  findArchive: FindArchive,
  search: Search,
): Promise<number | undefined> {
  const { kind } = wish.target;
  if (kind === 'immediate' || kind === 'end') return undefined;
  if (!missed.some(({ miss }) => ofTimeline.has(miss))) return undefined;
  const timelines = new Set<number>();
  for (const backup of backups) {
    const view = await findArchive(backup.metadata.wal_archive);
    if (view === undefined) continue;
    for (const timeline of view.tree.paths.keys())
      if (chooseTimeline(view.tree, backup, wish.timeline) !== timeline) timelines.add(timeline);
  }
  for (const timeline of [...timelines].toSorted((a, b) => b - a)) {
    search.context.signal?.throwIfAborted();
    if (await hasTarget({ ...wish, timeline }, backups, findArchive, search)) return timeline;
  }
  return undefined;
}

async function hasTarget(
  { target, timeline }: RecoveryWish,
  backups: readonly ClusterBackup[],
  findArchive: FindArchive,
  search: Search,
): Promise<boolean> {
  for (const backup of backups) {
    const candidate = await candidateOf(backup, timeline, findArchive);
    if (!('reach' in candidate)) continue;
    const attempt = await tryTarget(candidate, target, search);
    if (!isMiss(attempt)) return true;
    // What does not lie behind this backup may lie behind an older one; what is nowhere behind it does not.
    if (attempt.miss !== 'before_backup') return false;
  }
  return false;
}
