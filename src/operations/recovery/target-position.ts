import { formatLsn, type Lsn } from '../../postgres/lsn.ts';
import { latestTransaction } from './latest-transaction.ts';
import { lastRecord, scanRecords, type ScanContext, type SeenRecord } from './scan-range.ts';
import type { Attempt, Candidate, RecoveryTarget } from './target-model.ts';
import { missBehindEnd, toTheLastRecord } from './to-the-end.ts';
import { instantWords } from './words.ts';

type TimeTarget = Extract<RecoveryTarget, { readonly kind: 'time' }>;
type LsnTarget = Extract<RecoveryTarget, { readonly kind: 'lsn' }>;

/**
 * PostgreSQL stops before the first transaction that ended after the time, and fails when none comes. So the last
 * record is the target when the last transaction has that very time.
 */
export async function attemptTime(
  candidate: Candidate,
  target: TimeTarget,
  context: ScanContext,
): Promise<Attempt> {
  const { backup, view, reach } = candidate;
  const { value, inclusive } = target;
  if (value < backup.stoppedAtUs) {
    return { miss: 'before_backup', reason: `it ended at ${instantWords(backup.stoppedAtUs)}` };
  }
  const stopsAt = (atUs: number): boolean => (inclusive ? atUs > value : atUs >= value);
  const hit = { target, lsn: null, atUs: value, notes: [] };
  const noted = await latestTransaction(view, reach, backup.stop, context);
  if (noted !== undefined && stopsAt(noted.atUs)) return hit;
  const from = noted === undefined || noted.from < backup.stop ? backup.stop : noted.from;
  const seen = await timesFrom(candidate, from, stopsAt, context);
  if (seen.stops) return hit;
  const latest = Math.max(seen.latestUs, noted?.atUs ?? -Infinity);
  if (latest !== value) return missBehindEnd(candidate);
  const note =
    'the last transaction in the archive has that very time: recovery goes to the last record there is';
  return { ...(await toTheLastRecord(candidate, [note], context)), atUs: value };
}

async function timesFrom(
  { view, reach }: Candidate,
  from: Lsn,
  stopsAt: (atUs: number) => boolean,
  context: ScanContext,
): Promise<{ readonly stops: boolean; readonly latestUs: number }> {
  let latestUs = -Infinity;
  let stops = false;
  const visit = ({ event }: SeenRecord): boolean => {
    if (event?.kind !== 'commit' && event?.kind !== 'abort') return false;
    latestUs = Math.max(latestUs, Number(event.atUs));
    stops = stopsAt(Number(event.atUs));
    return stops;
  };
  await scanRecords(view.archive, reach.pieces, { from, to: reach.end.lsn }, visit, context);
  return { stops, latestUs };
}

/**
 * PostgreSQL stops at the first record that begins at the position or behind it, and fails when none comes. So the last
 * record is the target when none begins behind the position.
 */
export async function attemptLsn(
  candidate: Candidate,
  target: LsnTarget,
  context: ScanContext,
): Promise<Attempt> {
  const { backup, view, reach } = candidate;
  const { value, inclusive } = target;
  if (value < backup.stop) return { miss: 'before_backup', reason: `it ended at ${formatLsn(backup.stop)}` };
  const hasMoreBehind = reach.gap !== null && reach.gap.to !== null;
  if (value > reach.end.lsn && hasMoreBehind) return missBehindEnd(candidate);
  let next: { readonly start: Lsn; readonly end: Lsn } | undefined;
  const visit = ({ start, end }: SeenRecord): boolean => {
    next = { start, end };
    return true;
  };
  if (value < reach.end.lsn)
    await scanRecords(view.archive, reach.pieces, { from: value, to: reach.end.lsn }, visit, context);
  if (next !== undefined) return { target, lsn: inclusive ? next.end : next.start, atUs: null, notes: [] };
  // A switch goes to the end of its segment, of which the rest need not be in the archive.
  const range = { from: backup.start, to: reach.end.lsn };
  const last = await lastRecord(view.archive, reach.pieces, range, context);
  if (value > (last?.end ?? backup.start)) return missBehindEnd(candidate);
  const note = 'no record begins behind that position in the archive: recovery goes to the last one there is';
  return await toTheLastRecord(candidate, [note], context);
}
