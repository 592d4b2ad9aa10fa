import {
  isOnWay,
  isSuperseded,
  timelineWays,
  walWindowBases,
  type TimelineStep,
  type TimelineWay,
  type WalBackup,
} from './wal-window.ts';

/** The WAL of one cluster, as the repository has it. */
export interface WalArchiveFacts {
  readonly id: string;
  /** Milliseconds since 1970. */
  readonly createdAtMs: number;
  /** Of each timeline whose history could be read, the way there. */
  readonly paths: ReadonlyMap<number, readonly TimelineStep[]>;
}

/** From a position up to, and not with, another one; null for no end. Whatever overlaps it is to be kept. */
export interface WalInterval {
  readonly from: bigint;
  readonly to: bigint | null;
}

/**
 * By archive and timeline the WAL that must stay: ascending intervals that do not touch. An archive or a timeline that is
 * not in it is not known well enough: all of it stays. A timeline with no interval is not needed any more.
 */
export type WalToKeep = ReadonlyMap<string, ReadonlyMap<number, readonly WalInterval[]>>;

const all: WalInterval = { from: 0n, to: null };

/**
 * The WAL that one source needs: of each backup that is kept that from its start to its end, so that it restores; and
 * whatever recovery to any moment since `windowStartMs` reads, along the histories of the timelines and without a hole.
 * Without a window (null) that is everything behind the oldest backup on the way to each timeline. `backups` must be all
 * of the source's that are kept: if one cannot be read, nobody knows what it needs, and nothing may be dropped.
 */
export function walToKeep(
  backups: readonly WalBackup[],
  archives: readonly WalArchiveFacts[],
  windowStartMs: number | null,
): WalToKeep {
  const intervals = new Map<string, Map<number, WalInterval[]>>();
  const keep = (archive: string, timeline: number, interval?: WalInterval): void => {
    const timelines = intervals.get(archive) ?? new Map<number, WalInterval[]>();
    intervals.set(archive, timelines);
    const list = timelines.get(timeline) ?? [];
    timelines.set(timeline, list);
    if (interval !== undefined) list.push(interval);
  };
  for (const { archive, timeline, start, stop } of backups)
    keep(archive, timeline, { from: start, to: stop });
  const paths = new Map(archives.map((archive) => [archive.id, archive.paths]));
  // One that recovery along one timeline begins with counts for all that it leads to: that leaves no hole on any of them.
  const bases = windowStartMs === null ? backups : [...walWindowBases(backups, paths, windowStartMs)];
  for (const way of timelineWays(backups, paths)) {
    keep(way.archive, way.timeline);
    if (isOver(way, backups, archives, windowStartMs)) continue;
    const beginnings = bases.filter((backup) => isOnWay(backup, way));
    if (beginnings.length === 0) keep(way.archive, way.timeline, all);
    for (const backup of beginnings)
      for (const { timeline, from, to } of wayFrom(backup, way)) keep(way.archive, timeline, { from, to });
  }
  return new Map(
    Array.from(intervals, ([archive, timelines]) => [
      archive,
      new Map(Array.from(timelines, ([timeline, list]) => [timeline, merged(list)])),
    ]),
  );
}

/** Whether nothing within the window is on that timeline, nor will be. */
function isOver(
  way: TimelineWay,
  backups: readonly WalBackup[],
  archives: readonly WalArchiveFacts[],
  windowStartMs: number | null,
): boolean {
  const endMs = windowStartMs ?? Number.POSITIVE_INFINITY;
  if (backups.some((backup) => backup.archive === way.archive)) {
    // Without a window all that leads on from a backup counts, whatever came later.
    const leadsOn = windowStartMs === null && backups.some((backup) => isOnWay(backup, way));
    return !leadsOn && isSuperseded(way, backups, endMs);
  }
  // An archive without backups may be that of a first backup which is running. Not when one that began later has some.
  const began = (id: string): number => archives.find((archive) => archive.id === id)?.createdAtMs ?? 0;
  return backups.some(
    (backup) => backup.consistentAtMs <= endMs && began(backup.archive) > began(way.archive),
  );
}

/** The steps of a way from the start of a backup on. */
function wayFrom({ timeline, start }: WalBackup, { path }: TimelineWay): TimelineStep[] {
  const first = path.findIndex((step) => step.timeline === timeline);
  return path.slice(first).map((step, index) => (index === 0 ? { ...step, from: start } : step));
}

function merged(list: readonly WalInterval[]): WalInterval[] {
  const joined: { from: bigint; to: bigint | null }[] = [];
  for (const { from, to } of list.toSorted((a, b) => (a.from < b.from ? -1 : a.from > b.from ? 1 : 0))) {
    const last = joined.at(-1);
    if (last === undefined || (last.to !== null && from > last.to)) joined.push({ from, to });
    else if (last.to !== null && (to === null || to > last.to)) last.to = to;
  }
  return joined;
}
