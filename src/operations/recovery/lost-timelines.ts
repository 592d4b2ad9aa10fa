import { formatLsn, lsnOf, zeroLsn, type Lsn } from '../../postgres/lsn.ts';
import type { ArchiveView } from './archive-view.ts';
import type { HistoryProblem } from './history.ts';
import { chooseTimeline, type BackupPosition } from './reach.ts';

/** A timeline that there is WAL of, and nothing tells where it comes from. */
export interface LostTimeline extends HistoryProblem {
  /** Of the WAL that is there. */
  readonly from: Lsn;
  readonly to: Lsn;
}

/**
 * Timelines that a recovery from the backup might have to follow as the newest, for all that can be told: the last one
 * first. Not among them are those that began before the backup ended, for these cannot come from it.
 */
export async function lostTimelines(view: ArchiveView, backup: BackupPosition): Promise<LostTimeline[]> {
  const { problems, paths } = view.tree;
  const newest = chooseTimeline(view.tree, backup, 'latest') ?? backup.timeline;
  const lost: LostTimeline[] = [];
  for (const problem of problems) {
    const { timeline } = problem;
    if (timeline <= newest) continue;
    // The history of a timeline that came from it tells as well.
    if ([...paths.values()].some((path) => path.slice(0, -1).some((step) => step.timeline === timeline)))
      continue;
    const runs = await view.runs(timeline, zeroLsn);
    const [first] = runs;
    const last = runs.at(-1);
    if (first === undefined || last === undefined) continue;
    // The first segment may be a copy of the older timeline's up to where the new one begins, and no more of it.
    if (view.segmentOf(lsnOf(first.start)) + BigInt(view.segmentBytes) <= backup.stop) continue;
    lost.push({ ...problem, from: lsnOf(first.start), to: lsnOf(last.end) });
  }
  return lost.toReversed();
}

/** `00000002.history is missing, and WAL of timeline 2 is stored from 0/3000000 to 0/5000000` */
export function lostWords({ timeline, file, damage, from, to }: LostTimeline): string {
  const what = damage === null ? 'is missing' : `is damaged (${damage})`;
  return `${file} ${what}, and WAL of timeline ${timeline} is stored from ${formatLsn(from)} to ${formatLsn(to)}`;
}

/** What to type, or to do, to have the history. */
export function findHistory({ file, damage }: Pick<LostTimeline, 'file' | 'damage'>): string {
  return damage === null
    ? `on the server that has it: holdfast wal push PGDATA/pg_wal/${file}`
    : `put a good copy of ${file} back from a copy of the repository`;
}
