import { lsnOf, type Lsn, parseLsn } from '../../postgres/lsn.ts';
import { clipPieces, withoutSearched } from './pieces.ts';
import type { WalPiece } from './reach.ts';
import { endsWithin } from './subtransactions.ts';
import { scanRecords, type ScanContext, type SeenRecord } from './scan-range.ts';
import { stretchesBack } from './stretches-back.ts';
import type { Attempt, Candidate, RecoveryTarget, Search } from './target-model.ts';
import { missBehindEnd } from './to-the-end.ts';

type XidTarget = Extract<RecoveryTarget, { readonly kind: 'xid' }>;
type NameTarget = Extract<RecoveryTarget, { readonly kind: 'name' }>;

/** PostgreSQL compares 32 bits, and the records have no more. */
const xidBits = 0xffff_ffffn;

/** Looks for the end of a transaction behind the end of the backup. */
export async function attemptXid(candidate: Candidate, target: XidTarget, search: Search): Promise<Attempt> {
  const { backup, reach } = candidate;
  const xid = Number(target.value & xidBits);
  let whole: number | undefined;
  const isEnd = ({ event, record }: SeenRecord): boolean => {
    if (event?.kind !== 'commit' && event?.kind !== 'abort') return false;
    if (event.xid !== xid && endsWithin(record, xid)) whole = event.xid;
    return event.xid === xid;
  };
  const found = await findFirst(
    candidate,
    clipPieces(reach.pieces, backup.stop, reach.end.lsn),
    isEnd,
    search,
  );
  if (whole !== undefined) {
    const reason = `it is a part of transaction ${whole}, and recovery stops at that only (--at-xid ${whole})`;
    return { miss: 'unknown', reason, isCertain: true };
  }
  if (found === undefined) return await endedBefore(candidate, isEnd, search);
  const { event } = found;
  const notes =
    event?.kind === 'abort'
      ? ['that transaction was rolled back; recovery stops all the same where it ended']
      : [];
  return {
    target: { ...target, value: BigInt(xid) },
    lsn: target.inclusive ? found.end : found.start,
    atUs: event?.kind === 'commit' || event?.kind === 'abort' ? Number(event.atUs) : null,
    notes,
  };
}

async function endedBefore(
  candidate: Candidate,
  isEnd: (record: SeenRecord) => boolean,
  { context }: Search,
): Promise<Attempt> {
  const { backup, view, reach } = candidate;
  let isBefore = false;
  const visit = (record: SeenRecord): boolean => (isBefore = isEnd(record));
  await scanRecords(view.archive, reach.pieces, { from: backup.start, to: backup.stop }, visit, context);
  return isBefore
    ? { miss: 'before_backup', reason: 'it ended while the backup was taken' }
    : { miss: 'unknown', reason: `it did not end in the WAL behind the backup${orBehind(candidate)}` };
}

/** What is looked for may lie where nothing was looked through. */
function orBehind(candidate: Candidate): string {
  return candidate.reach.gap === null ? '' : `, and ${missBehindEnd(candidate).reason}`;
}

/** Reads pieces one after the other; those that were looked through for a newer backup are not read again. */
async function findFirst(
  { view }: Candidate,
  pieces: readonly WalPiece[],
  isIt: (record: SeenRecord) => boolean,
  { context, searched }: Search,
): Promise<SeenRecord | undefined> {
  const left = withoutSearched(pieces, searched);
  const [first] = left;
  const last = left.at(-1);
  if (first === undefined || last === undefined) return undefined;
  let found: SeenRecord | undefined;
  const visit = (record: SeenRecord): boolean => {
    if (isIt(record)) found = record;
    return found !== undefined;
  };
  for (const run of joined(left)) {
    const range = { from: run[0]?.from ?? first.from, to: run.at(-1)?.to ?? last.to };
    await scanRecords(view.archive, run, range, visit, context);
    if (found !== undefined) return found;
  }
  searched.push(...left);
  return undefined;
}

/** Pieces that follow each other, together: a record may lie in two of them. */
function joined(pieces: readonly WalPiece[]): WalPiece[][] {
  const runs: WalPiece[][] = [];
  for (const piece of pieces) {
    const run = runs.at(-1);
    if (run !== undefined && run.at(-1)?.to === piece.from) run.push(piece);
    else runs.push([piece]);
  }
  return runs;
}

interface Point {
  readonly lsn: Lsn;
  readonly atUs: number;
}

/** PostgreSQL stops at the first point of that name behind the backup's start, and fails if the backup ends later. */
export async function attemptName(
  candidate: Candidate,
  target: NameTarget,
  search: Search,
): Promise<Attempt> {
  const { backup } = candidate;
  let points = await notedPoints(candidate, target.value, search.context);
  if (points.length === 0) points = await readPoints(candidate, target.value, search);
  const [first, ...more] = points;
  if (first === undefined)
    return { miss: 'unknown', reason: `it is not in the WAL behind the backup${orBehind(candidate)}` };
  if (first.lsn <= backup.stop) {
    return more.length === 0
      ? { miss: 'before_backup', reason: 'it was made while the backup was taken' }
      : { miss: 'name_in_backup', reason: 'a point of that name was made while the backup was taken' };
  }
  const notes =
    more.length === 0
      ? []
      : [
          `${more.length + 1} restore points behind the backup have that name, and PostgreSQL stops at the first; ` +
            'give the position of a later one to recover to that (--at-lsn)',
        ];
  return { target, lsn: first.lsn, atUs: first.atUs, notes };
}

async function notedPoints(
  { backup, view, reach }: Candidate,
  name: string,
  context: ScanContext,
): Promise<Point[]> {
  const pieces = clipPieces(reach.pieces, backup.start, reach.end.lsn);
  const found = new Map<Lsn, Point>();
  for await (const { facts } of stretchesBack(view.archive, pieces, context)) {
    for (const point of facts.restore_points) {
      const lsn = parseLsn(point.lsn) ?? lsnOf(0);
      // Of a unit that lies in the backup in part, or behind the point where a timeline was left.
      if (point.name !== name || lsn <= backup.start || lsn > reach.end.lsn) continue;
      found.set(lsn, { lsn, atUs: point.at_us });
    }
  }
  return [...found.values()].toSorted((a, b) => Number(a.lsn - b.lsn));
}

/** Points whose records lie across the border of what is stored together were not noted. */
async function readPoints(candidate: Candidate, name: string, search: Search): Promise<Point[]> {
  const { backup, reach } = candidate;
  const pieces = clipPieces(reach.pieces, backup.start, reach.end.lsn);
  const isIt = ({ event }: SeenRecord): boolean => event?.kind === 'restore_point' && event.name === name;
  const found = await findFirst(candidate, pieces, isIt, search);
  if (found?.event?.kind !== 'restore_point') return [];
  return [{ lsn: found.end, atUs: Number(found.event.atUs) }];
}
