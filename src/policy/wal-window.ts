/** Where a backup of a cluster lies in the WAL. Positions are bytes since the beginning of the cluster. */
export interface WalBackup {
  readonly archive: string;
  readonly timeline: number;
  readonly start: bigint;
  /** Only from here on it is consistent. */
  readonly stop: bigint;
  /** When it was, in milliseconds since 1970: moments before cannot be recovered with it. */
  readonly consistentAtMs: number;
  /** Something is missing in it. */
  readonly incomplete: boolean;
}

/** The part of a timeline that belongs to the way to another one. */
export interface TimelineStep {
  readonly timeline: number;
  readonly from: bigint;
  /** Where the next one begins; null for the last. */
  readonly to: bigint | null;
}

/** Of each archive and each of its timelines the way there, the oldest step first. */
export type TimelinePaths = ReadonlyMap<string, ReadonlyMap<number, readonly TimelineStep[]>>;

/** A timeline of an archive, and the way there. */
export interface TimelineWay {
  readonly archive: string;
  readonly timeline: number;
  readonly path: readonly TimelineStep[];
}

/** Every timeline that is known, from histories or because a backup is of it: that one then has no known ancestors. */
export function timelineWays(backups: readonly WalBackup[], timelines: TimelinePaths): TimelineWay[] {
  const ways = new Map<string, TimelineWay>();
  for (const [archive, paths] of timelines)
    for (const [timeline, path] of paths) ways.set(`${archive} ${timeline}`, { archive, timeline, path });
  for (const { archive, timeline } of backups) {
    const key = `${archive} ${timeline}`;
    const path = [{ timeline, from: 0n, to: null }];
    if (!ways.has(key)) ways.set(key, { archive, timeline, path });
  }
  return [...ways.values()];
}

/** Whether recovery that begins with the backup comes along that way: it was consistent before the way left its timeline. */
export function isOnWay(backup: WalBackup, { archive, path }: TimelineWay): boolean {
  return (
    backup.archive === archive &&
    path.some(({ timeline, to }) => timeline === backup.timeline && (to === null || backup.stop <= to))
  );
}

/**
 * Whether the server had left that timeline, or that whole archive, before the window began: then no moment within the
 * window is on it. Known from a backup of a newer timeline, or of another archive, that was there when the window began
 * and is newer than all of this one.
 */
export function isSuperseded(
  { archive, timeline }: Pick<TimelineWay, 'archive' | 'timeline'>,
  backups: readonly WalBackup[],
  windowStartMs: number,
): boolean {
  const before = backups.filter(({ consistentAtMs }) => consistentAtMs <= windowStartMs);
  const sameArchive = backups.filter((backup) => backup.archive === archive);
  const lastOfTimeline = newestMs(sameArchive.filter((backup) => backup.timeline === timeline));
  const newerTimeline = before.filter((backup) => backup.archive === archive && backup.timeline > timeline);
  if (newestMs(newerTimeline) > lastOfTimeline) return true;
  if (sameArchive.length === 0) return false;
  return newestMs(before.filter((backup) => backup.archive !== archive)) > newestMs(sameArchive);
}

function newestMs(backups: readonly WalBackup[]): number {
  return Math.max(Number.NEGATIVE_INFINITY, ...backups.map(({ consistentAtMs }) => consistentAtMs));
}

/**
 * The backups that recovery along a way to any moment from `windowStartMs` on begins with: the newest that was consistent
 * when the window began, or where there is none the oldest one. One that lacks something stands in only where no whole one
 * was there in time.
 */
function basesOfWay(
  way: TimelineWay,
  backups: readonly WalBackup[],
  windowStartMs: number,
): readonly WalBackup[] {
  const onWay = backups
    .filter((backup) => isOnWay(backup, way))
    .toSorted(
      (a, b) => a.consistentAtMs - b.consistentAtMs || (a.stop < b.stop ? -1 : a.stop > b.stop ? 1 : 0),
    );
  const inTime = ({ consistentAtMs }: WalBackup): boolean => consistentAtMs <= windowStartMs;
  const baseOf = (some: readonly WalBackup[]): WalBackup | undefined => some.findLast(inTime) ?? some[0];
  const whole = baseOf(onWay.filter(({ incomplete }) => !incomplete));
  const any = whole !== undefined && inTime(whole) ? undefined : baseOf(onWay);
  return [whole, any].filter((base) => base !== undefined);
}

/** The backups that recovery to any moment from `windowStartMs` on begins with, on whichever timeline the server was since. */
export function walWindowBases(
  backups: readonly WalBackup[],
  timelines: TimelinePaths,
  windowStartMs: number,
): ReadonlySet<WalBackup> {
  const ways = timelineWays(backups, timelines).filter((way) => !isSuperseded(way, backups, windowStartMs));
  return new Set(ways.flatMap((way) => basesOfWay(way, backups, windowStartMs)));
}
