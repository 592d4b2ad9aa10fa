import { formatLsn } from '../../postgres/lsn.ts';
import { lastRecordEnd, scanRecords, type ScanContext } from './scan-range.ts';
import { clipPieces } from './pieces.ts';
import type { Candidate, Hit } from './target-model.ts';

/** Recovery of all there is. Where it would stray onto the end of a timeline that was left, it is stopped before. */
export async function toTheEnd(
  { backup, view, reach }: Candidate,
  notes: readonly string[],
  context: ScanContext,
): Promise<Hit> {
  const { timeline, lsn: end } = reach.end;
  const range = { from: backup.start, to: end };
  const lsn = (await lastRecordEnd(view.archive, reach.pieces, range, context)) ?? backup.stop;
  if (reach.strayTo === null) return { target: null, lsn, atUs: null, notes };
  let straysOn = false;
  const stray = [{ timeline, from: view.segmentOf(end), to: reach.strayTo }];
  await scanRecords(view.archive, stray, { from: end, to: reach.strayTo }, () => (straysOn = true), context);
  if (!straysOn) return { target: null, lsn, atUs: null, notes };
  const note =
    `timeline ${reach.timeline} branches off from timeline ${timeline} at ${formatLsn(end)}, and none of its own WAL ` +
    'is in the archive yet: recovery stops there';
  return {
    target: { kind: 'lsn', value: end, inclusive: false },
    lsn: end,
    atUs: null,
    notes: [...notes, note],
  };
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

/** The pieces a search for something behind the end of the backup goes through. */
export function piecesOfSearch({ backup, reach }: Candidate): ReturnType<typeof clipPieces> {
  return clipPieces(reach.pieces, backup.stop, reach.end.lsn);
}
