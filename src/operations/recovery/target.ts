import { failure } from '../../kernel/errors/failure.ts';
import { formatLsn } from '../../postgres/lsn.ts';
import { tryTarget } from './attempt.ts';
import type { ClusterBackup } from './backups.ts';
import { candidateOf, type FindArchive } from './candidates.ts';
import { lostTimelines, lostWords } from './lost-timelines.ts';
import { refusal } from './refuse.ts';
import type { ScanContext } from './scan-range.ts';
import {
  isMiss,
  type MissedBackup,
  type Attempt,
  type Candidate,
  type Hit,
  type RecoveryWish,
  type Search,
} from './target-model.ts';
import { notesOnBackups, notesOnBranches, notesOnHistories } from './notes.ts';
import type { WantedTimeline } from './reach.ts';

/** What a restore has to do for a recovery. */
export interface RecoveryPlan extends Hit {
  readonly candidate: Candidate;
  readonly backup: ClusterBackup;
  /** The timeline that is followed; the cluster opens on a new one. */
  readonly timeline: number;
  /** What `recovery_target_timeline` must be. */
  readonly timelineSetting: string;
  /**
   * True: `recovery_prefetch` must be off, on servers that have it (15 and newer). The WAL breaks off behind the target,
   * and a server that reads ahead asks for what is missing; that is an error which ends the recovery.
   */
  readonly mustNotReadAhead: boolean;
}

/**
 * Chooses the backup, timeline and target of a recovery, without changing anything. Of several backups the newest that
 * ended before the target and comes to it over WAL without a gap.
 *
 * `backups` are those of one source, the newest first; archives are looked up by the ids that backups name. Throws
 * `recovery_no_backup`, `recovery_backup_unusable`, `recovery_before_first_backup`, `recovery_target_in_gap`,
 * `recovery_target_in_future`, `recovery_target_not_in_timeline`, `recovery_target_unknown` and `recovery_history_missing`,
 * and what reading WAL does.
 */
export async function resolveTarget(
  wish: RecoveryWish,
  backups: readonly ClusterBackup[],
  findArchive: FindArchive,
  context: ScanContext = {},
): Promise<RecoveryPlan> {
  const asked = wish.backup === null ? backups : backups.filter(({ id }) => id === wish.backup);
  if (asked.length === 0) {
    throw failure('recovery_no_backup', {
      what:
        wish.backup === null
          ? 'there is no backup of the cluster'
          : `${wish.backup} is no backup of the cluster`,
    });
  }
  const search: Search = { context, searched: [] };
  const missed: MissedBackup[] = [];
  for (const backup of asked) {
    context.signal?.throwIfAborted();
    const candidate = await candidateOf(backup, timelineFor(wish), findArchive);
    const attempt = isCandidate(candidate) ? await tryWish(candidate, wish, search) : candidate;
    if (isCandidate(candidate) && !isMiss(attempt)) return await planOf(candidate, attempt, missed, context);
    if (isMiss(attempt)) missed.push({ backup, ...attempt });
    if (isMiss(attempt) && attempt.isCertain === true) break;
  }
  throw await refusal(wish, asked, missed, findArchive, search);
}

/** The end of the backup lies on its own timeline, whatever came later. */
function timelineFor({ target, timeline }: RecoveryWish): WantedTimeline {
  return target.kind === 'immediate' && timeline === 'latest' ? 'current' : timeline;
}

function isCandidate(candidate: Candidate | Attempt): candidate is Candidate {
  return 'reach' in candidate;
}

/**
 * The end of the newest timeline is not to be told while there is WAL that may be of a newer one. Any other target is:
 * recovery does not go beyond it.
 */
async function tryWish(candidate: Candidate, wish: RecoveryWish, search: Search): Promise<Attempt> {
  const { target, timeline } = wish;
  if (target.kind === 'end' && timeline === 'latest') {
    const [lost] = await lostTimelines(candidate.view, candidate.backup);
    if (lost !== undefined) return { miss: 'history', reason: lostWords(lost), isCertain: true };
  }
  return await tryTarget(candidate, target, search);
}

async function planOf(
  candidate: Candidate,
  hit: Hit,
  missed: readonly MissedBackup[],
  context: ScanContext,
): Promise<RecoveryPlan> {
  const { backup, reach } = candidate;
  const notes = [
    ...hit.notes,
    ...notesOnBackups(backup, missed),
    ...(await notesOnBranches(candidate, hit, context)),
    ...notesOnHistories(candidate),
  ];
  if (reach.gap?.to === null && hit.target === null) {
    const { timeline, from } = reach.gap;
    notes.push(`the WAL of timeline ${timeline} from ${formatLsn(from)} on is not in the archive`);
  }
  // The history of a timeline that is named must be there; of the backup's own it may be missing.
  const hasNoFile = reach.path.length === 1 && reach.timeline !== 1;
  const timelineSetting = hasNoFile ? 'current' : String(reach.timeline);
  const mustNotReadAhead = hit.target !== null && reach.gap !== null && reach.gap.to !== null;
  return {
    ...hit,
    notes,
    candidate,
    backup,
    timeline: reach.timeline,
    timelineSetting,
    mustNotReadAhead,
  };
}
