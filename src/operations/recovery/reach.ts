import { lsnOf, type Lsn } from '../../postgres/lsn.ts';
import type { ArchiveView } from './archive-view.ts';
import type { TimelinePath, TimelineStep, TimelineTree } from './history.ts';

/** Where a backup lies in the WAL. */
export interface BackupPosition {
  readonly timeline: number;
  readonly start: Lsn;
  readonly stop: Lsn;
}

/** `latest`: the newest timeline that comes from the backup. `current`: the backup's own. Or one by its number. */
export type WantedTimeline = 'latest' | 'current' | number;

/** WAL as recovery reads it: bytes of one timeline's files. */
export interface WalPiece {
  readonly timeline: number;
  readonly from: Lsn;
  readonly to: Lsn;
}

/** How far recovery gets from a backup along a timeline. */
export interface Reach {
  /** The timeline that is followed. */
  readonly timeline: number;
  readonly path: TimelinePath;
  /** From the beginning of the backup's first segment. The segment in which a timeline begins is read from the new one. */
  readonly pieces: readonly WalPiece[];
  /** Up to there everything is in the archive; the timeline is the one whose files end there. */
  readonly end: { readonly timeline: number; readonly lsn: Lsn };
  /**
   * What is missing at or behind the end, although there is WAL behind it (`to`), or there must have been some, another
   * timeline having branched off later (`to` is null).
   */
  readonly gap: { readonly timeline: number; readonly from: Lsn; readonly to: Lsn | null } | null;
  /**
   * The end is where the next timeline branches off, nothing of that one is there, and the old timeline goes on: up to
   * here. A recovery that is not stopped at the end would go on with what the new timeline never saw.
   */
  readonly strayTo: Lsn | null;
}

/** The path of a timeline if recovery of the backup can follow it: everything up to the backup's end must lie on it. */
export function pathFrom(
  tree: TimelineTree,
  backup: BackupPosition,
  timeline: number,
): TimelinePath | undefined {
  const path = tree.paths.get(timeline);
  const own = path?.find((step) => step.timeline === backup.timeline);
  if (own === undefined || own.from > backup.stop || (own.to !== null && own.to < backup.stop))
    return undefined;
  return path;
}

/**
 * The timeline that is meant; undefined when the backup does not lie on it. PostgreSQL itself takes the highest number
 * as `latest`, and fails when that one comes from elsewhere.
 */
export function chooseTimeline(
  tree: TimelineTree,
  backup: BackupPosition,
  wanted: WantedTimeline,
): number | undefined {
  if (wanted !== 'latest') {
    const timeline = wanted === 'current' ? backup.timeline : wanted;
    return pathFrom(tree, backup, timeline) === undefined ? undefined : timeline;
  }
  const fitting = [...tree.paths.keys()].filter((timeline) => pathFrom(tree, backup, timeline) !== undefined);
  return fitting.length === 0 ? undefined : Math.max(...fitting);
}

/** Follows a timeline from the backup's start as PostgreSQL looks for its segments. The backup must lie on it. */
export async function reachAlong(
  view: ArchiveView,
  backup: BackupPosition,
  timeline: number,
): Promise<Reach> {
  const path = pathFrom(view.tree, backup, timeline);
  if (path === undefined) throw new Error(`the backup is not on timeline ${timeline}`);
  const pieces: WalPiece[] = [];
  let at = view.segmentOf(backup.start);
  let index = path.findIndex(({ to }) => to === null || to > backup.start);
  let strayTo: Lsn | null = null;
  let torn: Reach['gap'] = null;
  for (;;) {
    const file = await fileFor(view, path, index, at);
    if (file === undefined) break;
    ({ index } = file);
    const step = path[index];
    if (step === undefined) break;
    const fork = step.to === null ? null : view.segmentOf(step.to);
    if (fork !== null && fork > at && file.end >= fork) {
      pieces.push({ timeline: step.timeline, from: at, to: fork });
      at = fork;
      continue;
    }
    const last = await endIn(view, step, at, file.end);
    if (last.at > at) pieces.push({ timeline: step.timeline, from: at, to: last.at });
    ({ at, strayTo, torn } = last);
    break;
  }
  const end = { timeline: path[index]?.timeline ?? timeline, lsn: at };
  return { timeline, path, pieces, end, gap: torn ?? (await gapBehind(view, path, index, at)), strayTo };
}

/**
 * Where recovery must stop in WAL that goes up to `end`. A segment that is not whole is not handed out while its timeline
 * goes on behind it: a recovery would take its end for that of all WAL.
 */
async function endIn(
  view: ArchiveView,
  { timeline, to }: TimelineStep,
  from: Lsn,
  end: Lsn,
): Promise<{ readonly at: Lsn; readonly strayTo: Lsn | null; readonly torn: Reach['gap'] }> {
  const strays = to !== null && end > to;
  const at = strays ? to : end;
  const segment = view.segmentOf(end);
  const next = segment < end && segment < at ? await view.nextAfter(timeline, end) : undefined;
  if (next === undefined) return { at, strayTo: strays ? end : null, torn: null };
  return { at: segment < from ? from : segment, strayTo: null, torn: { timeline, from: end, to: next } };
}

/** Whose file recovery reads from that position on, and how far it goes. It takes the newest there is, and never an older one again. */
async function fileFor(
  view: ArchiveView,
  path: TimelinePath,
  oldest: number,
  position: Lsn,
): Promise<{ readonly index: number; readonly end: Lsn } | undefined> {
  for (let index = path.length - 1; index >= oldest; index -= 1) {
    const step = path[index];
    if (step === undefined || view.segmentOf(step.from) > position) continue;
    const end = await view.coveredTo(step.timeline, position);
    if (end !== undefined) return { index, end };
  }
  return undefined;
}

async function gapBehind(
  view: ArchiveView,
  path: TimelinePath,
  index: number,
  end: Lsn,
): Promise<Reach['gap']> {
  const missing = path.slice(index).find(({ to }) => to === null || to > end);
  let next: Lsn | undefined;
  for (const step of path.slice(index)) {
    const found = await nextOf(view, step.timeline, end < step.from ? view.segmentOf(step.from) : end);
    if (found === undefined || (step.to !== null && found >= step.to)) continue;
    if (next === undefined || found < next) next = found;
  }
  const timeline = missing?.timeline ?? path.at(-1)?.timeline ?? 0;
  if (next !== undefined) return { timeline, from: end, to: next < end ? end : next };
  const last = path.at(-1);
  return last !== undefined && last.from > end ? { timeline, from: end, to: null } : null;
}

/** The first position from one on that is there. */
async function nextOf(view: ArchiveView, timeline: number, position: Lsn): Promise<Lsn | undefined> {
  const covered = await view.coveredTo(timeline, position);
  return covered === undefined ? await view.nextAfter(timeline, position) : position;
}

/** What is missing of the WAL without which the backup cannot be restored; null when all of it is there. */
export async function missingOfBackup(
  view: ArchiveView,
  backup: BackupPosition,
): Promise<{ readonly timeline: number; readonly from: Lsn; readonly to: Lsn } | null> {
  const { timeline, stop } = backup;
  const path = view.tree.paths.get(timeline);
  const reach = path === undefined ? undefined : await ownReach(view, backup);
  const end = reach ?? view.segmentOf(backup.start);
  if (end >= stop) return null;
  const from = end < backup.start ? backup.start : end;
  const next = await view.nextAfter(timeline, from);
  return { timeline, from, to: lsnOf(next !== undefined && next < stop ? next : stop) };
}

async function ownReach(view: ArchiveView, backup: BackupPosition): Promise<Lsn | undefined> {
  if (pathFrom(view.tree, backup, backup.timeline) === undefined) return undefined;
  const { end } = await reachAlong(view, backup, backup.timeline);
  return end.lsn;
}
