import { formatLsn } from '../../postgres/lsn.ts';
import type { ArchiveView } from './archive-view.ts';
import type { ClusterBackup } from './backups.ts';
import { chooseTimeline, reachAlong, type WantedTimeline } from './reach.ts';
import type { Candidate, Miss } from './target-model.ts';

/** The archive of that id; undefined when there is none. */
export type FindArchive = (id: string) => Promise<ArchiveView | undefined>;

/** How recovery would go on from a backup along a timeline, or why it cannot. */
export async function candidateOf(
  backup: ClusterBackup,
  wanted: WantedTimeline,
  findArchive: FindArchive,
): Promise<Candidate | Miss> {
  const { wal_archive: archiveId, system_identifier: system } = backup.metadata;
  const view = await findArchive(archiveId);
  if (view === undefined) return { miss: 'wal_missing', reason: 'the archive with its WAL is gone' };
  if (view.archive.info.system_identifier !== system) {
    return { miss: 'wal_missing', reason: 'the archive it names is of another cluster' };
  }
  const timeline = chooseTimeline(view.tree, backup, wanted);
  if (timeline === undefined) return missOfTimeline(backup, wanted, view);
  const reach = await reachAlong(view, backup, timeline);
  if (reach.end.lsn >= backup.stop) return { backup, view, reach };
  const from = reach.end.lsn < backup.start ? backup.start : reach.end.lsn;
  const next = reach.gap?.to ?? backup.stop;
  const to = next < backup.stop && next > from ? next : backup.stop;
  return {
    miss: 'wal_missing',
    reason: `WAL it needs is missing: timeline ${backup.timeline} from ${formatLsn(from)} to ${formatLsn(to)}`,
  };
}

function missOfTimeline(backup: ClusterBackup, wanted: WantedTimeline, view: ArchiveView): Miss {
  const number = typeof wanted === 'number' ? wanted : backup.timeline;
  const problem = view.tree.problems.find(({ timeline }) => timeline === number);
  if (problem?.damage !== null && problem !== undefined) {
    return { miss: 'timeline', reason: `${problem.file} is damaged (${problem.damage})` };
  }
  const path = view.tree.paths.get(number);
  if (path === undefined)
    return { miss: 'timeline', reason: `nothing of timeline ${number} is in the archive` };
  if (problem !== undefined) {
    return {
      miss: 'timeline',
      reason: `${problem.file} is missing, and nothing else tells where it branched off`,
    };
  }
  const own = path.find(({ timeline }) => timeline === backup.timeline);
  if (own?.to === null || own === undefined) {
    return {
      miss: 'timeline',
      reason: `timeline ${number} does not come from its timeline ${backup.timeline}`,
    };
  }
  const end = formatLsn(backup.stop);
  return {
    miss: 'timeline',
    reason: `it ended at ${end}, and timeline ${number} branched off before that, at ${formatLsn(own.to)}`,
  };
}
