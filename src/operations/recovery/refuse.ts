import { failure, type HoldfastError } from '../../kernel/errors/failure.ts';
import { formatLsn } from '../../postgres/lsn.ts';
import type { ArchiveView } from './archive-view.ts';
import type { ClusterBackup } from './backups.ts';
import type { FindArchive } from './candidates.ts';
import { timelineWithTarget } from './elsewhere.ts';
import { findHistory, lostTimelines, lostWords, type LostTimeline } from './lost-timelines.ts';
import { chooseTimeline } from './reach.ts';
import type { CallContext } from '../../repository/model.ts';
import type { Miss, MissedBackup, RecoveryWish, Search } from './target-model.ts';
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
  search: Search,
): Promise<HoldfastError> {
  const told = mostTelling(missed);
  const windows = await reachable(wish, backups, findArchive, search.context);
  const elsewhere = await timelineWithTarget(wish, backups, missed, findArchive, search);
  const onIt = elsewhere === undefined ? await onLost(wish, told, findArchive) : undefined;
  const details = {
    target: targetWords(wish.target),
    reachable: windows.map(windowDetails),
    ...(elsewhere === undefined ? {} : { timeline: elsewhere }),
  };
  const params = {
    target: targetWords(wish.target),
    backup: told === undefined ? 'none' : shortId(told.backup.id),
    reason: reasonWords(told, onIt?.lost),
    reach: reachWords(windows),
    next: nextOf(wish, windows, told, { elsewhere, onIt }),
  };
  return failure(errorOf(told), params, { details });
}

function reasonWords(told: MissedBackup | undefined, lost: LostTimeline | undefined): string {
  if (told === undefined) return 'no backup fits';
  if (lost === undefined || told.miss === 'history') return told.reason;
  return `${told.reason}; ${lostWords(lost)}, where it may be`;
}

/** What to type: that which leads to the target, else to know of it, else to the nearest that can be had. */
function nextOf(
  wish: RecoveryWish,
  windows: readonly RecoveryWindow[],
  told: MissedBackup | undefined,
  { elsewhere, onIt }: Ways,
): string {
  if (elsewhere !== undefined) return `add --timeline ${elsewhere}, which leads to it`;
  if (onIt === undefined) return `${leads[told?.miss ?? 'wal_missing']}${nextWords(wish, windows)}`;
  const find = findHistory(onIt.lost);
  return told?.miss === 'history'
    ? `${find}; or say which timeline is meant: --timeline ${onIt.known}`
    : `${find}; then try again`;
}

/** Said before the nearest that can be had, if there is any. */
const leads: Readonly<Record<Miss['miss'], string>> = {
  before_backup: 'the nearest that can be had is ',
  in_gap: 'the nearest before it is ',
  in_future: 'use ',
  timeline: 'choose another timeline or backup, or use ',
  unknown: 'check it, or use ',
  name_in_backup: 'check it, or use ',
  wal_missing: '',
  history: '',
};

interface Ways {
  /** A timeline that has the target. */
  readonly elsewhere: number | undefined;
  /** One that may have it. */
  readonly onIt: { readonly lost: LostTimeline; readonly known: number } | undefined;
}

/** What is known of a timeline that the target may be on, could its way be found. */
async function onLost(
  { timeline }: RecoveryWish,
  told: MissedBackup | undefined,
  findArchive: FindArchive,
): Promise<Ways['onIt']> {
  if (timeline !== 'latest' || told === undefined || !mayBeOnLost.has(told.miss)) return undefined;
  const view = await findArchive(told.backup.metadata.wal_archive);
  const [lost] = view === undefined ? [] : await lostTimelines(view, told.backup);
  if (view === undefined || lost === undefined) return undefined;
  return { lost, known: chooseTimeline(view.tree, told.backup, 'latest') ?? told.backup.timeline };
}

const mayBeOnLost: ReadonlySet<Miss['miss']> = new Set<Miss['miss']>([
  'history',
  'in_future',
  'in_gap',
  'unknown',
]);

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
    case 'history':
      return 'recovery_history_missing';
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
