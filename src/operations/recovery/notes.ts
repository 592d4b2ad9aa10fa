import { isFailure } from '../../kernel/errors/failure.ts';
import { formatLsn, type Lsn } from '../../postgres/lsn.ts';
import type { ArchiveView } from './archive-view.ts';
import type { ClusterBackup } from './backups.ts';
import type { Candidate, Hit, MissedBackup } from './target-model.ts';
import { scanRecords, type ScanContext, type SeenRecord } from './scan-range.ts';
import { instantWords, shortId } from './words.ts';

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
  context: ScanContext,
): Promise<string[]> {
  if (target?.kind === 'immediate') return [];
  const notes: string[] = [];
  for (const { timeline, to } of reach.path) {
    if (to === null || to < backup.stop || (lsn !== null && lsn <= to && lsn < reach.end.lsn)) continue;
    const left = `timeline ${timeline} went on after it had been left at ${formatLsn(to)}`;
    const instead = `is not part of timeline ${reach.timeline} (--timeline ${timeline} recovers to it)`;
    try {
      const atUs = await firstAbandoned(view, timeline, to, context);
      // What was committed later than the moment is not missed.
      if (atUs === undefined || (target?.kind === 'time' && atUs > target.value)) continue;
      notes.push(`${left}: what was committed there from ${instantWords(atUs)} on ${instead}`);
    } catch (error) {
      // Nothing of it is needed here.
      if (!isFailure(error) || context.signal?.aborted === true) throw error;
      notes.push(`${left}: what was committed there ${instead}; it cannot be read: ${error.message}`);
    }
  }
  return notes;
}

/** When the first transaction was committed on a timeline behind the position at which another one left it; microseconds. */
async function firstAbandoned(
  view: ArchiveView,
  timeline: number,
  left: Lsn,
  context: ScanContext,
): Promise<number | undefined> {
  const end = await view.coveredTo(timeline, left);
  if (end === undefined) return undefined;
  let atUs: number | undefined;
  const visit = ({ event }: SeenRecord): boolean => {
    if (event?.kind === 'commit') atUs = Number(event.atUs);
    return atUs !== undefined;
  };
  const piece = { timeline, from: left, to: end };
  await scanRecords(view.archive, [piece], piece, visit, context);
  return atUs;
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
