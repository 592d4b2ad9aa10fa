import type { Clock } from '../kernel/clock.ts';
import { failure, isFailure, reasonOf } from '../kernel/errors/failure.ts';
import type { Logger } from '../kernel/log.ts';
import { packIdOf, walPrefix } from '../repository/layout.ts';
import type { Repository } from '../repository/repository.ts';
import {
  dropOldReports,
  listReports,
  problemsInReport,
  putReport,
  readReport,
  suspectsInReport,
  type VerifyRecord,
} from '../repository/reports.ts';
import type { Findings } from './verify-findings.ts';
import type { Remembered, VerifyOptions } from './verify-options.ts';
import { laterOf, neverRead, readNow, type ReadAt } from './verify-rotation.ts';
import { isEverythingRead, levelOf } from './verify.ts';

/** What earlier verifications have left in the repository, whatever machine they ran on. */
export interface VerifyMemory {
  readonly readAt: { readonly packs: ReadAt; readonly wal: ReadAt };
  readonly remembered: Remembered;
  /** Packs and WAL that were found damaged and have not been read as good since. */
  readonly suspects: readonly string[];
  /** There are more of them than reports can name. */
  readonly suspectsUnlisted: boolean;
  /** Concerns about the place that are nothing new; null when it was never described. */
  readonly accepted: readonly string[] | null;
}

/** Two verifications at once each leave a report; of what is older all is in those. */
const reportsRead = 8;

/** Reads the newest reports. One that is damaged counts for nothing; verify names it. */
export async function recallReports(
  repository: Repository,
  log: Logger,
  signal: AbortSignal,
): Promise<VerifyMemory> {
  let packs = neverRead;
  let wal = neverRead;
  const reports: VerifyRecord[] = [];
  let newest: VerifyRecord | undefined;
  for (const name of (await listReports(repository, signal)).slice(-reportsRead)) {
    try {
      const report = await readReport(repository, name, signal);
      if (report === undefined) continue;
      packs = laterOf(packs, report.read_at.packs);
      wal = laterOf(wal, report.read_at.wal);
      reports.push(report);
      newest = report;
    } catch (error) {
      if (!isFailure(error, 'object_damaged')) throw error;
      log.warn('a report of an earlier verify cannot be read', { object: name, reason: reasonOf(error) });
    }
  }
  return {
    readAt: { packs, wal },
    remembered: { heads: newest?.heads ?? [], walEnds: newest?.wal_ends ?? [] },
    ...suspectsOf(reports),
    accepted: newest?.accepted ?? null,
  };
}

/** Every report carries on what those before it knew; of two verifications at once neither knows of the other's. */
function suspectsOf(reports: readonly VerifyRecord[]): Pick<VerifyMemory, 'suspects' | 'suspectsUnlisted'> {
  const isCarriedOn = (report: VerifyRecord): boolean =>
    reports.some(({ suspects, started_at }) => suspects !== undefined && started_at >= report.finished_at);
  const open = reports.filter((report) => !isCarriedOn(report));
  const named = open.flatMap(
    ({ suspects, problems }) => suspects ?? problems.map(({ object }) => object).filter(isRead),
  );
  return {
    suspects: [...new Set(named)],
    suspectsUnlisted: open.some((report) => report.suspects_unlisted === true),
  };
}

/** Whether an object is one that only `--read-data` looks into. */
function isRead(object: string): boolean {
  return packIdOf(object) !== undefined || (object.startsWith(walPrefix) && !object.endsWith('/'));
}

export interface KeepOptions {
  readonly clock: Pick<Clock, 'now'>;
  readonly host: string;
  readonly user: string;
  readonly startedAtMs: number;
  readonly verify: VerifyOptions;
  readonly accepted: readonly string[] | null;
}

/** Leaves a report of a verification, and removes the oldest ones. Resolves with its name. */
export async function keepReport(
  repository: Repository,
  findings: Findings,
  memory: VerifyMemory,
  { clock, host, user, startedAtMs, verify, accepted }: KeepOptions,
): Promise<string> {
  const nowMs = clock.now();
  const report = findings.report(levelOf(verify));
  const { ok, level, backups_checked, objects_checked, blobs_checked, blobs_read, bytes_read } = report;
  const { packs, wal } = memory.readAt;
  const pieces = (readAt: ReadAt): [string, number][] => readAt.map(([from, ms]) => [from, ms]);
  const suspects = [...findings.subjects()].filter(isRead);
  const isUnlisted =
    suspects.length > suspectsInReport ||
    report.problems_not_listed > 0 ||
    (memory.suspectsUnlisted && !isEverythingRead(verify));
  const name = await putReport(
    repository,
    {
      schema: 1,
      started_at: new Date(startedAtMs).toISOString(),
      finished_at: new Date(nowMs).toISOString(),
      host,
      user,
      ok,
      level,
      backups_checked,
      objects_checked,
      blobs_checked,
      blobs_read,
      bytes_read,
      problems: report.problems.slice(0, problemsInReport).map(({ code, object, message, backups }) => ({
        code,
        object,
        message,
        backups: backups.slice(0, 20),
      })),
      problems_total: report.problems.length + report.problems_not_listed,
      read_at: {
        packs: pieces(readNow(packs, findings.read.packs, nowMs)),
        wal: pieces(readNow(wal, findings.read.wal, nowMs)),
      },
      heads: [...findings.heads],
      wal_ends: [...findings.walEnds],
      suspects: suspects.slice(0, suspectsInReport),
      suspects_unlisted: isUnlisted,
      accepted: accepted === null ? null : [...accepted],
    },
    verify.signal,
  );
  await dropOldReports(repository, verify.signal);
  return name;
}

/**
 * Compares how the place is set up with how it was. What is of concern and was not so before is a problem until it is put
 * right, or accepted; the rest is noted. Answers what counts as known from now on: null where the place tells nothing.
 */
export async function verifyPlace(
  { storage }: Repository,
  findings: Findings,
  {
    accepted,
    accept,
    signal,
  }: { readonly accepted: readonly string[] | null; readonly accept: boolean; readonly signal: AbortSignal },
): Promise<readonly string[] | null> {
  if (storage.describe === undefined) return accepted;
  let concerns;
  try {
    ({ concerns } = await storage.describe({ signal }));
  } catch (error) {
    signal.throwIfAborted();
    if (!isFailure(error)) throw error;
    findings.note(`how ${storage.location} is set up cannot be told: ${error.message}`);
    return accepted;
  }
  const known = accepted === null || accept ? concerns.map(({ message }) => message) : accepted;
  for (const { message, mend } of concerns) {
    if (known.includes(message)) findings.note(mend === undefined ? message : `${message}; ${mend}`);
    else
      findings.add(
        'the place of the repository',
        failure('place_changed', { concern: message, mend: mend ?? 'set it as it was' }),
      );
  }
  // What has been put right is new when it comes back.
  return known.filter((message) => concerns.some((concern) => concern.message === message));
}
