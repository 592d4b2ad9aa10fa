import { formatLsn } from '../../postgres/lsn.ts';
import type { Attempt, Candidate, RecoveryTarget, Search } from './target-model.ts';
import { attemptLsn, attemptTime } from './target-position.ts';
import { attemptName, attemptXid } from './target-search.ts';
import { toTheEnd } from './to-the-end.ts';

/** Whether a recovery comes to the target, and where exactly it stops then. */
export async function tryTarget(
  candidate: Candidate,
  target: RecoveryTarget,
  search: Search,
): Promise<Attempt> {
  const { backup, reach } = candidate;
  switch (target.kind) {
    case 'immediate':
      return { target, lsn: backup.stop, atUs: null, notes: [] };
    case 'end':
      return reach.gap === null || reach.gap.to === null
        ? await toTheEnd(candidate, search.context)
        : { miss: 'in_gap', reason: gapWords(candidate) };
    case 'time':
      return await attemptTime(candidate, target, search.context);
    case 'lsn':
      return await attemptLsn(candidate, target, search.context);
    case 'xid':
      return await attemptXid(candidate, target, search);
    case 'name':
      return await attemptName(candidate, target, search);
  }
}

function gapWords({ reach: { gap } }: Candidate): string {
  if (gap === null) return 'WAL is missing';
  const to = gap.to === null ? '' : ` to ${formatLsn(gap.to)}`;
  return `the WAL of timeline ${gap.timeline} from ${formatLsn(gap.from)}${to} is missing, and there is more behind it`;
}
