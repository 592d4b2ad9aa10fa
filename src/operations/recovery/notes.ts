import { addToLsn, formatLsn, type Lsn } from '../../postgres/lsn.ts';
import type { ArchiveView } from './archive-view.ts';
import type { ClusterBackup } from './backups.ts';
import type { Candidate, Hit, MissedBackup } from './target-model.ts';
import { shortId } from './words.ts';

/** Newer backups that would have served but for something that is wrong, and what is wrong with the one that is used. */
export function notesOnBackups(backup: ClusterBackup, missed: readonly MissedBackup[]): string[] {
  const notes = missed
    .filter(({ miss }) => miss !== 'before_backup' && miss !== 'unknown')
    .map(
      ({ backup: newer, reason }) =>
        `backup ${shortId(newer.id)} is newer, but cannot be used for this: ${reason}`,
    );
  if (backup.incomplete !== null)
    notes.push(`backup ${shortId(backup.id)} is incomplete: ${backup.incomplete}`);
  return notes;
}

/**
 * Timelines that went on after the one that is followed had left them: a recovery to a time finds nothing of what they
 * have, even where the followed one was begun only later than that time.
 */
export async function notesOnBranches(
  { backup, view, reach }: Candidate,
  { target, lsn }: Hit,
): Promise<string[]> {
  if (target?.kind === 'immediate') return [];
  const notes: string[] = [];
  for (const { timeline, to } of reach.path) {
    if (to === null || to < backup.stop || (lsn !== null && lsn <= to && lsn < reach.end.lsn)) continue;
    const end = await goesOnTo(view, timeline, to);
    if (end === undefined) continue;
    notes.push(
      `timeline ${timeline} went on to ${formatLsn(end)} after it had been left at ${formatLsn(to)}; ` +
        `what was written to it there is not part of timeline ${reach.timeline} (--timeline ${timeline} recovers to it)`,
    );
  }
  return notes;
}

/** Behind the segment it was left in, which may just have been filled up. */
async function goesOnTo(view: ArchiveView, timeline: number, left: Lsn): Promise<Lsn | undefined> {
  const segment = view.segmentOf(left);
  return await view.coveredTo(timeline, segment === left ? left : addToLsn(segment, view.segmentBytes));
}

/** Newer timelines whose histories cannot be read may come from the backup, and are not thought of. */
export function notesOnHistories({ view, reach }: Candidate): string[] {
  return view.tree.problems
    .filter(({ timeline }) => timeline > reach.timeline)
    .map(({ timeline, file, damage }) => {
      const what = damage === null ? 'is missing' : `is damaged (${damage})`;
      return `${file} ${what}: whether timeline ${timeline} comes from this backup cannot be told`;
    });
}
