import { setTimeout as delay } from 'node:timers/promises';
import { failure } from '../../kernel/errors/failure.ts';
import { plural } from '../../kernel/plural.ts';
import { formatLsn, lsnOf, zeroLsn, type Lsn } from '../../postgres/lsn.ts';
import { walAboutObject, walFilesPrefix, walTimelinePrefix } from '../../repository/layout.ts';
import type { Repository } from '../../repository/repository.ts';
import type { WalArchive, WalRun } from '../../repository/wal/model.ts';
import { ArchiveView } from '../recovery/archive-view.ts';
import type { ClusterBackup } from '../recovery/backups.ts';
import { lostTimelines, type LostTimeline } from '../recovery/lost-timelines.ts';
import { shortId } from '../recovery/words.ts';
import type { Findings } from '../verify-findings.ts';
import { tellDamage } from '../verify-objects.ts';
import type { VerifyOptions } from '../verify-options.ts';
import { outlookOf, OutlookTimes, type MissingWal, type Outlook } from './recoverable.ts';
import { rangeWords, segmentsBetween } from './segments.ts';
import { verifyListed, type ArchiveCheck } from './verify-archive.ts';
import { WalCoverage, type WalGap } from './verify-coverage.ts';

/** Segments overtake each other on their way: what is missing is looked for once more after so long. */
const overtakenMs = 2000;

/** An archive that was looked through, for those who look closer. */
export interface CheckedArchive extends ArchiveCheck {
  readonly timelines: readonly number[];
  readonly storedBytes: number;
  /** What lies before is of no interest. */
  readonly from: Lsn;
}

/**
 * Checks that the WAL of clusters is there: all that the backups need to be restored, and behind it without a gap; that
 * each object can hold what its name says, and that histories can be read. Answers the archives that can be opened.
 */
export async function verifyWal(
  repository: Repository,
  backups: readonly ClusterBackup[],
  findings: Findings,
  options: VerifyOptions,
): Promise<readonly CheckedArchive[]> {
  const { signal } = options;
  const byArchive = Map.groupBy(backups, ({ metadata }) => metadata.wal_archive);
  const ids = new Set(byArchive.keys());
  if (options.backups === undefined) for await (const id of repository.walArchiveIds({ signal })) ids.add(id);
  const checked: CheckedArchive[] = [];
  for (const id of [...ids].toSorted()) {
    const own = byArchive.get(id) ?? [];
    findings.objectsChecked += 1;
    try {
      const archive = await repository.findWalArchive(id, { signal });
      if (archive === undefined) await tellBackups(own, async () => undefined, findings, signal);
      else checked.push(await verifyArchive(repository, archive, own, findings, options));
    } catch (error) {
      const needing = own.map((backup) => backup.id);
      tellDamage(findings, walAboutObject(id), error, signal, needing);
    }
  }
  return checked;
}

async function verifyArchive(
  repository: Repository,
  archive: WalArchive,
  backups: readonly ClusterBackup[],
  findings: Findings,
  options: VerifyOptions,
): Promise<CheckedArchive> {
  const { signal } = options;
  options.progress.phase(`checking the WAL of ${archive.info.source}`);
  let coverage = await coverageOf(archive, backups, signal);
  if (await hasHoles(coverage, backups)) {
    await delay(options.overtakenMs ?? overtakenMs, undefined, { signal });
    coverage = await coverageOf(archive, backups, signal);
  }
  const { view } = coverage;
  const check: ArchiveCheck = { repository, archive, coverage, findings, signal, told: new Set() };
  await tellHistories(check, backups);
  const missing = await tellBackups(backups, async () => view, findings, signal);
  for (const gap of coverage.gaps.values()) tellGap(check, gap, backups);
  const timelines = await archive.timelines({ signal });
  let storedBytes = 0;
  for (const timeline of timelines) {
    const listed = await verifyListed(check, timeline);
    storedBytes += listed.storedBytes;
    noteGaps(check, timeline, listed.runs, [...coverage.gaps.values(), ...missing]);
  }
  for (const { timeline, from } of coverage.open.values()) {
    const { source } = archive.info;
    findings.note(
      `the WAL of ${source} of timeline ${timeline} from ${formatLsn(from)} on is not there, or not yet`,
    );
  }
  const from = options.backups === undefined ? zeroLsn : firstStart(backups);
  return { ...check, timelines, storedBytes, from };
}

function firstStart(backups: readonly ClusterBackup[]): Lsn {
  const [first = zeroLsn, ...rest] = backups.map(({ start }) => start);
  return rest.reduce((least, start) => (start < least ? start : least), first);
}

async function coverageOf(
  archive: WalArchive,
  backups: readonly ClusterBackup[],
  signal: AbortSignal,
): Promise<WalCoverage> {
  return await WalCoverage.of(await ArchiveView.of(archive, { signal }), backups, signal);
}

async function hasHoles(coverage: WalCoverage, backups: readonly ClusterBackup[]): Promise<boolean> {
  if (coverage.gaps.size > 0) return true;
  for (const backup of backups) {
    const outlook = await outlookOf(backup, async () => coverage.view);
    if ('broken' in outlook) return true;
  }
  return false;
}

/** Notes of each backup how far it goes, and names those that cannot be restored. Answers what those lack. */
async function tellBackups(
  backups: readonly ClusterBackup[],
  findArchive: (id: string) => Promise<ArchiveView | undefined>,
  findings: Findings,
  signal: AbortSignal,
): Promise<readonly MissingWal[]> {
  const missing: MissingWal[] = [];
  const times = new OutlookTimes({ signal });
  for (const backup of backups.toSorted((a, b) => a.sequence - b.sequence)) {
    const outlook = await outlookOf(backup, findArchive);
    const recoverable = await times.plain(backup, outlook);
    findings.recovery.push({ backup: backup.id, source: backup.source, ...recoverable });
    if ('reach' in outlook) continue;
    tellBroken(backup, outlook, findings);
    if (outlook.missing !== null) missing.push(outlook.missing);
  }
  return missing;
}

function tellBroken(
  { id, source, timeline, metadata }: ClusterBackup,
  { broken }: Extract<Outlook, { readonly broken: string }>,
  findings: Findings,
): void {
  const error = failure('wal_backup_broken', { backup: shortId(id), source, reason: broken });
  findings.add(walTimelinePrefix(metadata.wal_archive, timeline), error, [id]);
}

/** What is lost for good, and what a newer backup has left behind, is no damage that anybody could mend. */
function tellGap({ archive, findings }: ArchiveCheck, gap: WalGap, backups: readonly ClusterBackup[]): void {
  const { source, segment_bytes: segmentBytes } = archive.info;
  const { timeline } = gap;
  const words = rangeWords(gap, segmentsBetween(gap.path, gap, segmentBytes));
  if (isPast(gap, backups)) {
    findings.isWalMissing = true;
    const ending = plural(gap.backups.size, 'backup');
    findings.note(
      `the WAL of ${source} of timeline ${timeline} has a gap, ${words}: ${ending} before it cannot go beyond; newer ones begin behind it`,
    );
    return;
  }
  const error = failure('wal_interrupted', { source, timeline, gap: words });
  findings.add(walTimelinePrefix(archive.id, timeline), error, [...gap.backups]);
}

/** Whether recovery to every moment behind the gap can begin with a backup that was taken behind it. */
function isPast({ to, path }: WalGap, backups: readonly ClusterBackup[]): boolean {
  return backups.some(
    ({ start, timeline }) => start >= to && path.some((step) => step.timeline === timeline),
  );
}

/** Damaged histories are damage; missing ones are missing WAL where the newest backup might lead to that timeline. */
async function tellHistories(
  { archive, coverage, findings, told }: ArchiveCheck,
  backups: readonly ClusterBackup[],
): Promise<void> {
  const lost = await lostFor(coverage.view, backups);
  for (const { timeline, file, damage } of coverage.view.tree.problems) {
    const name = `${walFilesPrefix(archive.id)}${file.toLowerCase()}`;
    const needing = backups.filter((backup) => backup.timeline === timeline).map(({ id }) => id);
    if (damage !== null) {
      told.add(file);
      findings.add(name, failure('object_damaged', { name: file, reason: damage }), needing);
      continue;
    }
    const way = lost.get(timeline);
    if (way !== undefined) {
      const { source } = archive.info;
      const range = `${formatLsn(way.from)} to ${formatLsn(way.to)}`;
      findings.add(name, failure('wal_history_lost', { source, file, timeline, range }), way.backups);
    } else if (backups.some((backup) => backup.timeline < timeline)) {
      const { source } = archive.info;
      findings.note(
        `${file} of ${source} is missing: whether its older backups lead to timeline ${timeline} cannot be told`,
      );
    }
  }
}

/** Timelines that the newest backup might lead to, with all backups that might. */
async function lostFor(
  view: ArchiveView,
  backups: readonly ClusterBackup[],
): Promise<ReadonlyMap<number, LostTimeline & { readonly backups: string[] }>> {
  const [newest, ...older] = backups.toSorted(
    (a, b) => b.stoppedAtUs - a.stoppedAtUs || b.sequence - a.sequence,
  );
  const found = new Map<number, LostTimeline & { readonly backups: string[] }>();
  if (newest === undefined) return found;
  for (const one of await lostTimelines(view, newest))
    found.set(one.timeline, { ...one, backups: [newest.id] });
  for (const backup of older)
    for (const { timeline } of await lostTimelines(view, backup))
      found.get(timeline)?.backups.push(backup.id);
  return found;
}

/** Gaps that no backup comes to hurt nobody; they are told all the same. */
function noteGaps(
  { archive, findings }: ArchiveCheck,
  timeline: number,
  runs: readonly WalRun[],
  told: readonly MissingWal[],
): void {
  const { source, segment_bytes: segmentBytes } = archive.info;
  for (const [index, run] of runs.entries()) {
    const before = runs[index - 1];
    if (before === undefined) continue;
    const gap = { timeline, from: lsnOf(before.end), to: lsnOf(run.start) };
    if (told.some((one) => overlaps(one, gap))) continue;
    const words = rangeWords(gap, segmentsBetween([gap], gap, segmentBytes));
    findings.note(`the WAL of ${source} has a gap on timeline ${timeline} that no backup leads to: ${words}`);
  }
}

function overlaps(one: MissingWal, other: MissingWal & { readonly to: Lsn }): boolean {
  return one.timeline === other.timeline && one.from < other.to && (one.to === null || one.to > other.from);
}
