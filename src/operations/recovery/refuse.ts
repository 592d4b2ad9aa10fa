import { failure, type HoldfastError } from '../../kernel/errors/failure.ts';
import { formatLsn } from '../../postgres/lsn.ts';
import type { ArchiveView } from './archive-view.ts';
import type { ClusterBackup } from './backups.ts';
import type { FindArchive } from './candidates.ts';
import type { CallContext } from '../../repository/model.ts';
import type { Miss, MissedBackup, RecoveryWish } from './target-model.ts';
import { recoveryWindows, type RecoveryWindow } from './windows.ts';
import { formatMicroseconds, instantWords, isoMicroseconds, shortId, targetWords } from './words.ts';

/** What matters most to say, when backups miss the target for several reasons. */
const order: readonly Miss['miss'][] = [
  'in_gap',
  'in_future',
  'name_in_backup',
  'unknown',
  'before_backup',
  'timeline',
  'wal_missing',
];

const shownWindows = 3;

/** Why nothing recovers to what was wished, what can be recovered to, and what to type next. */
export async function refusal(
  wish: RecoveryWish,
  backups: readonly ClusterBackup[],
  missed: readonly MissedBackup[],
  findArchive: FindArchive,
  context: CallContext,
): Promise<HoldfastError> {
  const told = mostTelling(missed);
  const windows = await reachable(wish, backups, findArchive, context);
  const details = { target: targetWords(wish.target), reachable: windows.map(windowDetails) };
  const params = {
    target: targetWords(wish.target),
    backup: told === undefined ? 'none' : shortId(told.backup.id),
    reason: told?.reason ?? 'no backup fits',
    reach: reachWords(windows),
    next: nextWords(wish, windows),
  };
  return failure(errorOf(told), params, { details });
}

/** Of those that missed for what matters most: the oldest when the target came before all, else the newest. */
function mostTelling(missed: readonly MissedBackup[]): MissedBackup | undefined {
  const certain = missed.find(({ isCertain }) => isCertain);
  if (certain !== undefined) return certain;
  for (const miss of order) {
    const some = missed.filter((one) => one.miss === miss);
    if (some.length > 0) return miss === 'before_backup' ? some.at(-1) : some[0];
  }
  return undefined;
}

function errorOf(told: MissedBackup | undefined) {
  switch (told?.miss) {
    case 'before_backup':
      return 'recovery_before_first_backup';
    case 'in_gap':
      return 'recovery_target_in_gap';
    case 'in_future':
      return 'recovery_target_in_future';
    case 'timeline':
      return 'recovery_target_not_in_timeline';
    case 'unknown':
    case 'name_in_backup':
      return 'recovery_target_unknown';
    default:
      return 'recovery_backup_unusable';
  }
}

/** The windows on the timelines that were asked for, the latest first. */
async function reachable(
  wish: RecoveryWish,
  backups: readonly ClusterBackup[],
  findArchive: FindArchive,
  context: CallContext,
): Promise<RecoveryWindow[]> {
  const views = new Map<ArchiveView, ClusterBackup[]>();
  for (const backup of backups) {
    const view = await findArchive(backup.metadata.wal_archive);
    if (view !== undefined) views.set(view, [...(views.get(view) ?? []), backup]);
  }
  const all: RecoveryWindow[] = [];
  const timeline = typeof wish.timeline === 'number' ? wish.timeline : undefined;
  for (const [view, itsBackups] of views) {
    const some = await recoveryWindows(view, itsBackups, { ...context, timeline });
    all.push(...(some.length > 0 ? some : await recoveryWindows(view, itsBackups, context)));
  }
  return all.toSorted((a, b) => b.from.atUs - a.from.atUs || b.timeline - a.timeline);
}

function windowDetails({ timeline, from, to, backups }: RecoveryWindow): Record<string, unknown> {
  return {
    timeline,
    from: { lsn: formatLsn(from.lsn), at: isoMicroseconds(from.atUs) },
    to: { lsn: formatLsn(to.lsn), at: to.atUs === null ? null : isoMicroseconds(to.atUs) },
    backups: backups.map(({ id }) => id),
  };
}

function reachWords(windows: readonly RecoveryWindow[]): string {
  if (windows.length === 0) return 'no backup can be recovered, for WAL that all of them need is missing';
  const some = windows.slice(0, shownWindows).map(({ timeline, from, to }) => {
    const until = instantWords(to.atUs ?? from.atUs);
    return `${instantWords(from.atUs)} (${formatLsn(from.lsn)}) to ${until} (${formatLsn(to.lsn)}) on timeline ${timeline}`;
  });
  const more = windows.length - some.length;
  return `what can be recovered to: ${some.join('; ')}${more === 0 ? '' : `; and ${more} more (holdfast wal status)`}`;
}

/** The nearest that can be had. */
function nextWords(wish: RecoveryWish, windows: readonly RecoveryWindow[]): string {
  const { target } = wish;
  const [latest] = windows;
  if (latest === undefined) return 'take a backup now (holdfast backup), and look at holdfast wal status';
  const earliest = windows.at(-1) ?? latest;
  if (target.kind === 'time' && target.value < earliest.from.atUs) return at(earliest.from.atUs);
  if (target.kind === 'lsn' && target.value < earliest.from.lsn)
    return `--at-lsn ${formatLsn(earliest.from.lsn)}`;
  if (target.kind === 'time') {
    const before = windows.filter(({ from }) => from.atUs <= target.value).at(0) ?? latest;
    const isLast = before === latest && before.reach.gap === null;
    return isLast
      ? `--at-end for all there is, or ${at(before.to.atUs ?? before.from.atUs)}`
      : at(before.to.atUs ?? before.from.atUs);
  }
  if (target.kind === 'end' || target.kind === 'lsn') {
    const before = windows.find(({ from }) => target.kind === 'end' || from.lsn <= target.value) ?? latest;
    return `--at-lsn ${formatLsn(before.to.lsn)}`;
  }
  return at(latest.to.atUs ?? latest.from.atUs);
}

function at(us: number): string {
  return `--at '${formatMicroseconds(us)}+00'`;
}
