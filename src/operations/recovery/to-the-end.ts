import { formatLsn } from '../../postgres/lsn.ts';
import { lastRecord, type ScanContext } from './scan-range.ts';
import type { Candidate, Hit } from './target-model.ts';

/** Recovery of all there is, and of what is archived until it has got there. */
export async function toTheEnd(candidate: Candidate, context: ScanContext): Promise<Hit> {
  const { reach } = candidate;
  const upToHere = await toTheLastRecord(candidate, [], context);
  if (reach.strayTo === null) return { ...upToHere, target: null };
  const { timeline, lsn: end } = reach.end;
  const note =
    `timeline ${reach.timeline} branches off from timeline ${timeline} at ${formatLsn(end)}, and none of its own WAL ` +
    'is in the archive: recovery stops there';
  return { ...upToHere, notes: [note] };
}

/**
 * Recovery of all there is now. Named by its beginning the last record is a target that PostgreSQL does not miss, and
 * it asks for nothing behind it: not for what is missing, what is archived later, or what is not of this timeline.
 */
export async function toTheLastRecord(
  { backup, view, reach }: Candidate,
  notes: readonly string[],
  context: ScanContext,
): Promise<Hit> {
  const range = { from: backup.start, to: reach.end.lsn };
  const last = await lastRecord(view.archive, reach.pieces, range, context);
  const target = { kind: 'lsn', value: last?.start ?? backup.stop, inclusive: true } as const;
  return { target, lsn: last?.end ?? backup.stop, atUs: null, notes };
}

/** Why WAL behind the end of the reach cannot be replayed: it is beyond a gap, or nothing of it is in the archive. */
export function missBehindEnd({ reach }: Candidate): {
  readonly miss: 'in_gap' | 'in_future';
  readonly reason: string;
} {
  const { gap, end } = reach;
  if (gap === null)
    return { miss: 'in_future', reason: `the WAL in the archive ends at ${formatLsn(end.lsn)}` };
  if (gap.to === null) {
    const reason = `the WAL of timeline ${gap.timeline} from ${formatLsn(gap.from)} on is not in the archive`;
    return { miss: 'in_gap', reason };
  }
  const reason = `the WAL of timeline ${gap.timeline} from ${formatLsn(gap.from)} to ${formatLsn(gap.to)} is missing`;
  return { miss: 'in_gap', reason };
}
