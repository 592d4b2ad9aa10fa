import { formatLsn, lsnOf, zeroLsn, type Lsn } from '../../postgres/lsn.ts';
import type { CallContext } from '../../repository/model.ts';
import type { WalRun } from '../../repository/wal/model.ts';
import type { ArchiveView } from './archive-view.ts';
import type { ClusterBackup } from './backups.ts';
import { forkOf } from './history.ts';
import { lostTimelines } from './lost-timelines.ts';
import { chooseTimeline, missingOfBackup, pathFrom } from './reach.ts';
import type {
  BackupReach,
  LostTimelineStatus,
  PositionRange,
  ReachedPosition,
  TimelineStatus,
  WalStatus,
  WindowStatus,
} from './status-model.ts';
import { recoveryWindows, type RecoveryWindow } from './windows.ts';
import { isoMicroseconds } from './words.ts';

/**
 * What there is of the WAL of a cluster, and how far each backup can be recovered. `backups` are all of the source; those
 * whose WAL is in another archive are passed over.
 */
export async function walStatus(
  view: ArchiveView,
  backups: readonly ClusterBackup[],
  context: CallContext = {},
): Promise<WalStatus> {
  const { archive, tree } = view;
  const own = backups.filter(({ metadata }) => metadata.wal_archive === archive.id);
  const timelines: TimelineStatus[] = [];
  for (const timeline of timelinesOf(view)) timelines.push(await timelineStatus(view, own, timeline));
  const windows = await recoveryWindows(view, own, context);
  const reaches: BackupReach[] = [];
  for (const backup of own) reaches.push(await backupReach(view, backup, windows));
  return {
    source: archive.info.source,
    archive: archive.id,
    system_identifier: archive.info.system_identifier,
    segment_bytes: archive.info.segment_bytes,
    timelines,
    windows: windows.map(windowStatus),
    backups: reaches,
    newest: newestOf(timelines, windows),
    lost_timelines: await lostStatus(view, own),
    damaged_histories: tree.problems.map(({ file, damage }) => ({ file, damage })),
  };
}

async function lostStatus(
  view: ArchiveView,
  backups: readonly ClusterBackup[],
): Promise<LostTimelineStatus[]> {
  const found = new Map<number, LostTimelineStatus & { readonly backups: string[] }>();
  for (const backup of backups)
    for (const { timeline, file, from, to } of await lostTimelines(view, backup)) {
      const known = found.get(timeline) ?? { timeline, file, ...range(from, to), backups: [] };
      known.backups.push(backup.id);
      found.set(timeline, known);
    }
  return [...found.values()].toSorted((a, b) => a.timeline - b.timeline);
}

function timelinesOf({ tree }: ArchiveView): number[] {
  const damaged = tree.problems.map(({ timeline }) => timeline);
  return [...new Set([...tree.paths.keys(), ...damaged])].toSorted((a, b) => a - b);
}

async function timelineStatus(
  view: ArchiveView,
  backups: readonly ClusterBackup[],
  timeline: number,
): Promise<TimelineStatus> {
  const path = view.tree.paths.get(timeline);
  const fork = path === undefined ? undefined : forkOf(path);
  const runs = await view.runs(timeline, zeroLsn);
  const starts = backups.filter((backup) => pathFrom(view.tree, backup, timeline)).map(({ start }) => start);
  const begin = path?.at(-1)?.from;
  const needed = starts.length === 0 ? null : view.segmentOf(smallest(starts));
  const last = runs.at(-1);
  return {
    timeline,
    parent: fork?.parent ?? null,
    branched_off_at: fork === undefined ? null : formatLsn(fork.at),
    from: runs[0] === undefined ? null : formatLsn(lsnOf(runs[0].start)),
    to: last === undefined ? null : formatLsn(lsnOf(last.end)),
    stored_bytes: runs.reduce((sum, { storedBytes }) => sum + storedBytes, 0),
    stored_at: last === undefined ? null : newestTime(runs),
    gaps: [...gapBefore(runs, starts, begin), ...gapsBetween(runs)],
    useless: uselessBefore(runs, needed),
  };
}

function newestTime(runs: readonly WalRun[]): string {
  return new Date(Math.max(...runs.map(({ storedAtMs }) => storedAtMs))).toISOString();
}

function smallest(positions: readonly Lsn[]): Lsn {
  return positions.reduce((a, b) => (b < a ? b : a));
}

/** What is missing where a timeline begins, or where the first backup needs it; what was removed before that is no gap. */
function gapBefore(runs: readonly WalRun[], starts: readonly Lsn[], begin: Lsn | undefined): PositionRange[] {
  const [first] = runs;
  if (first === undefined || starts.length === 0 || begin === undefined) return [];
  const needed = smallest(starts);
  const from = needed < begin ? begin : needed;
  return first.start > from ? [range(from, first.start)] : [];
}

function gapsBetween(runs: readonly WalRun[]): PositionRange[] {
  return runs.slice(1).map(({ start }, index) => range(runs[index]?.end ?? 0n, start));
}

/** WAL in front of the first backup leads nowhere. */
function uselessBefore(runs: readonly WalRun[], needed: Lsn | null): PositionRange | null {
  const first = runs[0]?.start;
  const last = runs.at(-1)?.end;
  if (first === undefined || last === undefined || (needed !== null && first >= needed)) return null;
  return range(first, needed === null || last < needed ? last : needed);
}

function range(from: bigint, to: bigint): PositionRange {
  return { from: formatLsn(lsnOf(from)), to: formatLsn(lsnOf(to)) };
}

function windowStatus({ timeline, from, to, backups }: RecoveryWindow): WindowStatus {
  return {
    timeline,
    from: { lsn: formatLsn(from.lsn), at: isoMicroseconds(from.atUs) },
    to: { lsn: formatLsn(to.lsn), at: to.atUs === null ? null : isoMicroseconds(to.atUs) },
    backups: backups.map(({ id }) => id),
  };
}

async function backupReach(
  view: ArchiveView,
  backup: ClusterBackup,
  windows: readonly RecoveryWindow[],
): Promise<BackupReach> {
  const missing = await missingOfBackup(view, backup);
  const timeline = chooseTimeline(view.tree, backup, 'latest');
  const window = windows.find((one) => one.timeline === timeline && one.backups.includes(backup));
  const gap = window?.reach.gap ?? null;
  return {
    id: backup.id,
    timeline: backup.timeline,
    consistent: { lsn: formatLsn(backup.stop), at: isoMicroseconds(backup.stoppedAtUs) },
    missing:
      missing === null
        ? null
        : { timeline: missing.timeline, from: formatLsn(missing.from), to: formatLsn(missing.to) },
    reaches: window === undefined ? null : reached(window),
    gap:
      gap === null
        ? null
        : {
            timeline: gap.timeline,
            from: formatLsn(gap.from),
            to: gap.to === null ? null : formatLsn(gap.to),
          },
  };
}

function reached({ timeline, to }: RecoveryWindow): ReachedPosition {
  return { timeline, lsn: formatLsn(to.lsn), at: to.atUs === null ? null : isoMicroseconds(to.atUs) };
}

/** The end of the newest timeline that there is WAL of. */
function newestOf(
  timelines: readonly TimelineStatus[],
  windows: readonly RecoveryWindow[],
): WalStatus['newest'] {
  const last = timelines.findLast(({ to }) => to !== null);
  if (last === undefined || last.to === null || last.stored_at === null) return null;
  const { timeline, to, stored_at } = last;
  const times = windows.filter((window) => window.timeline === timeline).map((window) => window.to.atUs ?? 0);
  const latest = Math.max(0, ...times);
  return { timeline, lsn: to, stored_at, at: latest === 0 ? null : isoMicroseconds(latest) };
}
