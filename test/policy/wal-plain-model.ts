import type { WalBackup } from '../../src/policy/wal-window.ts';
import type { ClusterLife } from './wal-life.ts';

/**
 * Whether one byte of WAL is to be kept, asked of every backup and every timeline anew, byte by byte and without any
 * arithmetic of intervals. For tests.
 */
export function isPlainlyKept(
  life: ClusterLife,
  kept: readonly WalBackup[],
  windowStartMs: number | null,
  position: { readonly archive: string; readonly timeline: number; readonly lsn: bigint },
): boolean {
  const { archive, timeline, lsn } = position;
  const paths = life.archives.find(({ id }) => id === archive)?.paths;
  const own = kept.filter((backup) => backup.archive === archive);
  if (own.some((backup) => backup.timeline === timeline && backup.start <= lsn && lsn < backup.stop))
    return true;

  /** The timeline that the byte at a position is of, on the way to another one. */
  const timelineAt = (to: number, at: bigint): number | undefined =>
    paths?.get(to)?.findLast(({ from }) => from <= at)?.timeline;
  const leadsTo = (backup: WalBackup, to: number): boolean =>
    timelineAt(to, backup.stop - 1n) === backup.timeline;
  const latest = (some: readonly WalBackup[]): number =>
    some.reduce((ms, { consistentAtMs }) => Math.max(ms, consistentAtMs), Number.NEGATIVE_INFINITY);
  const inTime = ({ consistentAtMs }: WalBackup): boolean => consistentAtMs <= (windowStartMs ?? Infinity);

  const isLeft = (to: number): boolean => {
    const others = kept.filter((backup) => backup.archive !== archive);
    if (own.length === 0) {
      const bornAt = (id: string): number => life.archives.findIndex((one) => one.id === id);
      return others.some((backup) => inTime(backup) && bornAt(backup.archive) > bornAt(archive));
    }
    if (windowStartMs === null && own.some((backup) => leadsTo(backup, to))) return false;
    const newer = own.filter((backup) => backup.timeline > to && inTime(backup));
    const onIt = own.filter((backup) => backup.timeline === to);
    return latest(newer) > latest(onIt) || latest(others.filter(inTime)) > latest(own);
  };

  const beginnings = (to: number): readonly WalBackup[] => {
    const leading = own.filter((backup) => leadsTo(backup, to));
    if (windowStartMs === null) return leading;
    const best = (some: readonly WalBackup[]): WalBackup | undefined => {
      const early = some.filter(inTime);
      const wanted = early.length > 0 ? latest(early) : Math.min(...some.map((one) => one.consistentAtMs));
      return some.find(({ consistentAtMs }) => consistentAtMs === wanted);
    };
    const whole = best(leading.filter(({ incomplete }) => !incomplete));
    const found = whole !== undefined && inTime(whole) ? [whole] : [whole, best(leading)];
    return found.filter((backup) => backup !== undefined);
  };

  // What recovery along any timeline begins with counts for every timeline that it leads to.
  const all = [...(paths?.keys() ?? [])].filter((to) => !isLeft(to)).flatMap(beginnings);
  for (const to of paths?.keys() ?? []) {
    if (isLeft(to)) continue;
    const from = all.filter((backup) => leadsTo(backup, to));
    if (from.length === 0 && to === timeline) return true;
    // Before the timeline of the backup begins, its way is another one.
    if (timelineAt(to, lsn) === timeline && from.some(({ start }) => start <= lsn)) return true;
  }
  return false;
}
