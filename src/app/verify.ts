import { failure, isFailure, reasonOf } from '../kernel/errors/failure.ts';
import type { Findings } from '../operations/verify-findings.ts';
import { keepReport, recallReports, verifyPlace, type VerifyMemory } from '../operations/verify-memory.ts';
import type { VerifyOptions as Examination } from '../operations/verify-options.ts';
import type { VerifyReport } from '../operations/verify-report.ts';
import { examine, levelOf } from '../operations/verify.ts';
import type { Repository } from '../repository/repository.ts';
import {
  openConfiguredRepository,
  withApp,
  type App,
  type AppContext,
  type CommonOptions,
  type Outcome,
} from './compose.ts';
import { verifyRemembered, type RememberOptions } from './rolled-back.ts';
import { leaveStatus } from './status-files.ts';
import { problemsFound } from './verify-mend.ts';

export interface VerifyOptions extends CommonOptions, RememberOptions {
  /** References of backups; everything in the repository when empty. */
  readonly ids: readonly string[];
  readonly readData?: boolean | undefined;
  /** Share of the packs and the WAL to read, above 0 and at most 1, what was read the longest ago; implies `readData`. */
  readonly subset?: number | undefined;
  /** False for credentials that may not write: no report is left in the repository. */
  readonly report?: boolean | undefined;
  /** How the place is set up now is how it shall be. */
  readonly acceptPlace?: boolean | undefined;
}

export interface VerifyResult extends Outcome, Omit<VerifyReport, 'ok'> {
  readonly repository: { readonly id: string; readonly location: string };
  /** The object with the report in the repository; null where none was left. */
  readonly report: string | null;
}

/** Checks the repository. Problems make the result not ok (`verify_failed`); they are all in it. */
export async function verify(options: VerifyOptions, context: AppContext): Promise<VerifyResult> {
  return withApp(options, context, { name: 'verify', touched: () => [] }, async (app) => {
    await using repository = await openConfiguredRepository(app);
    const { examination, memory } = await prepare(app, repository, options);
    using progress = app.observer.progress('verify');
    const startedAtMs = app.machine.clock.now();
    const how = { ...examination, signal: app.signal, log: app.log, jobs: app.jobs, progress };
    const findings = await examine(repository, how);
    const name = await conclude(app, repository, { findings, memory, how, startedAtMs, options });
    const report = findings.report(levelOf(how));
    const { id } = repository.info;
    const { location } = repository.storage;
    const error = report.ok ? undefined : problemsFound(report, location);
    return {
      schema: 1,
      ...report,
      ...(error === undefined ? {} : { error: error.toJSON() }),
      repository: { id, location },
      report: name,
    };
  });
}

type Wishes = Omit<Examination, 'signal' | 'log' | 'jobs' | 'progress'>;

/** What is to be looked at, with what earlier verifications have left. */
export async function prepare(
  app: App,
  repository: Repository,
  options: VerifyOptions,
): Promise<{ readonly examination: Wishes; readonly memory: VerifyMemory }> {
  const backups: string[] = [];
  for (const reference of options.ids)
    backups.push((await repository.find(reference, { signal: app.signal })).id);
  const memory = await recallReports(repository, app.log, app.signal);
  const { readAt, remembered } = memory;
  const examination = {
    readData: options.readData === true || options.subset !== undefined,
    ...(options.subset === undefined ? {} : { subset: options.subset }),
    ...(backups.length === 0 ? {} : { backups }),
    readAt,
    remembered,
    suspects: memory.suspects,
    suspectsUnlisted: memory.suspectsUnlisted,
    expected: expectedOf(app),
    nowMs: app.machine.clock.now(),
  };
  return { examination, memory };
}

function expectedOf({ config }: App): { source: string; maxAgeMs: number }[] {
  return Object.entries(config.sources).flatMap(([source, own]) => {
    const maxAgeMs = own.max_age ?? config.verify.max_age;
    return maxAgeMs === undefined ? [] : [{ source, maxAgeMs }];
  });
}

export interface Conclusion {
  readonly findings: Findings;
  readonly memory: VerifyMemory;
  readonly how: Examination;
  readonly startedAtMs: number;
  readonly options: Pick<VerifyOptions, 'report' | 'acceptPlace' | keyof RememberOptions>;
}

/** Looks how the place is set up, and leaves the report and the file for monitors. Resolves with the report's name. */
export async function conclude(
  app: App,
  repository: Repository,
  { findings, memory, how, startedAtMs, options }: Conclusion,
): Promise<string | null> {
  const { clock, host, user } = app.machine;
  // Of some backups nothing is told about the whole.
  if (how.backups !== undefined) return null;
  for (const { id, object, error } of await verifyRemembered(app, repository, options))
    if (!findings.missingBackups.has(id))
      findings.add(object, error, error.errorName === 'backup_replaced' ? [id] : []);
  const place = { accepted: memory.accepted, accept: options.acceptPlace === true, signal: app.signal };
  const accepted = await verifyPlace(repository, findings, place);
  let name: string | null = null;
  if (options.report !== false) {
    const facts = { clock, host, user, startedAtMs, verify: how, accepted };
    name = await keepReport(repository, findings, memory, facts).catch((error: unknown) => {
      app.signal.throwIfAborted();
      if (!isFailure(error)) throw error;
      app.observer.notice({
        level: 'warning',
        message: `the report could not be kept in the repository: ${reasonOf(error)}`,
        hint: 'with credentials that may not write: holdfast verify --no-report',
      });
      return null;
    });
  }
  if (findings.report(levelOf(how)).ok)
    await leaveStatus(app, 'last-success-verify', {
      at: new Date(clock.now()).toISOString(),
      level: levelOf(how),
      repository: repository.info.id,
      location: repository.storage.location,
      report: name,
    });
  return name;
}

/** Refuses what is only done to the whole repository. */
export function assertWhole(ids: readonly string[], what: string): void {
  if (ids.length === 0) return;
  throw failure('usage', {
    reason: `${what} is about the whole repository, not single backups`,
    suggestion: 'leave the ids out',
  });
}
