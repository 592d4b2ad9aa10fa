import type { Manifest } from '../contract/manifest.ts';
import { asFailure, failure } from '../kernel/errors/failure.ts';
import { Semaphore } from '../kernel/queue.ts';
import { backupSource } from '../operations/backup.ts';
import type { Repository } from '../repository/repository.ts';
import { backupView, type BackupView } from './backup-view.ts';
import {
  openConfiguredRepository,
  withApp,
  type App,
  type AppContext,
  type CommonOptions,
  type Outcome,
} from './compose.ts';
import { copiesError, updateCopies, type CopyOutcome } from './copies.ts';
import { checkSource, errorOfFinding } from './check-source.ts';
import { gitInfo } from './git.ts';
import { keepConfiguration } from './keep-config.ts';
import { copyPlaces } from './places.ts';
import { chooseSources, prepareSource, type ChosenSource } from './sources.ts';
import { leaveStatus } from './status-files.ts';
import { shareThreads, type SharedThreads } from './backup-threads.ts';
import { holdfastVersion } from './version.ts';
import type { Finding } from '../sources/port.ts';

export interface BackupOptions extends CommonOptions {
  /** Names of sources; all when empty. */
  readonly sources: readonly string[];
  /** A source that is not configured, by its URL. */
  readonly from?: string | undefined;
  readonly tags?: Readonly<Record<string, string>> | undefined;
  readonly dryRun?: boolean | undefined;
}

export interface FailedSource {
  readonly source: string;
  readonly error: Record<string, unknown>;
}

export interface BackupResult extends Outcome {
  readonly dry_run: boolean;
  readonly repository: { readonly id: string; readonly location: string };
  readonly backups: readonly BackupView[];
  readonly failed: readonly FailedSource[];
  /** Names of the sources that an interruption left without a backup. */
  readonly not_made: readonly string[];
  /** What became of each copy that is written with every backup. */
  readonly copies: readonly CopyOutcome[];
  /** With `--dry-run`: what was found out about each source. */
  readonly plan?: readonly {
    readonly source: string;
    readonly kind: string;
    readonly findings: readonly Finding[];
  }[];
}

/**
 * Backs up the sources, some at once. One that fails does not stop the others: the result then names it (`partly_done`), or
 * carries the first error when none succeeded. An interruption stops all; what was finished by then is in the result.
 */
export async function backup(options: BackupOptions, context: AppContext): Promise<BackupResult> {
  const touched = (result: BackupResult): string[] => result.backups.map(({ id }) => id);
  return withApp(
    options,
    context,
    options.dryRun === true ? null : { name: 'backup', touched },
    async (app) => {
      if (options.from !== undefined && options.sources.length > 0) {
        throw failure('usage', {
          reason: '--from and named sources exclude each other',
          suggestion: 'give one of the two',
        });
      }
      const chosen = chooseSources(app, options.sources, options.from);
      // Asked while the repository's key is derived.
      const git = gitInfo(app.machine.cwd, app.signal);
      git.catch(() => {});
      await using repository = await openConfiguredRepository(app, 'add');
      return options.dryRun === true
        ? await plan(app, repository, chosen)
        : await run(app, repository, chosen, { ...options, git });
    },
  );
}

async function run(
  app: App,
  repository: Repository,
  chosen: readonly ChosenSource[],
  options: BackupOptions & { readonly git: ReturnType<typeof gitInfo> },
): Promise<BackupResult> {
  const { machine } = app;
  const origin: Manifest['origin'] = {
    host: machine.host,
    user: machine.user,
    holdfast_version: holdfastVersion(),
    git: await options.git,
  };
  const lanes = Math.min(chosen.length, app.config.parallel_sources);
  const threads = shareThreads({
    jobs: options.jobs ?? app.jobs,
    lanes,
    ownJobs: chosen.map(({ config }) => (options.jobs === undefined ? config.jobs : 'auto')),
  });
  const parts = { app, origin, options, threads, permits: new Semaphore(threads.permits) };
  const outcomes = new Map<string, SourceOutcome>();
  const waiting = chosen.entries();
  const lane = async (own: Repository): Promise<void> => {
    for (const [index, source] of waiting) {
      const jobs = threads.jobs[index] ?? 1;
      outcomes.set(source.name, await attempt({ ...parts, jobs }, own, source, chosen.length > 1));
    }
  };
  await using siblings = new AsyncDisposableStack();
  await Promise.all(
    Array.from({ length: lanes }, (_, index) =>
      lane(index === 0 ? repository : siblings.use(repository.sibling())),
    ),
  );
  const result = summarize(app, repository, chosen, outcomes);
  if (result.backups.length === 0 || result.not_made.length > 0) return result;
  // Before the copies, so that they get it, too.
  if (options.from === undefined) await keepConfiguration(app, repository);
  return await withCopies(app, repository, result);
}

/** A copy that is not up to date makes a run partly done: the backups are there. */
async function withCopies(app: App, repository: Repository, result: BackupResult): Promise<BackupResult> {
  const places = copyPlaces(app).filter(({ config }) => config?.with_backup !== false);
  // What is copied is read: that is for who has the passphrase.
  if (repository.isAgent) {
    if (places.length > 0)
      app.observer.notice({
        level: 'info',
        message: 'copies are left to holdfast sync, where the passphrase is',
      });
    return result;
  }
  const copies = await updateCopies(app, repository, places);
  const error = result.error ?? copiesError(copies);
  return { ...result, ok: error === undefined, ...(error === undefined ? {} : { error }), copies };
}

/** What became of one source: a backup, an error, or nothing because of an interruption. */
type SourceOutcome = BackupView | { readonly error: Record<string, unknown> } | null;

interface RunParts {
  readonly app: App;
  readonly origin: Manifest['origin'];
  readonly options: BackupOptions;
  readonly threads: SharedThreads;
  readonly permits: Semaphore;
  /** Of this source. */
  readonly jobs: number;
}

async function attempt(
  parts: RunParts,
  repository: Repository,
  source: ChosenSource,
  several: boolean,
): Promise<SourceOutcome> {
  const { app } = parts;
  try {
    app.signal.throwIfAborted();
    const view = backupView(await one(parts, repository, source));
    tell(app, view);
    if (view.incomplete === null)
      await leaveStatus(app, `last-success-backup-${source.name}`, {
        at: view.finished_at,
        id: view.id,
        source: source.name,
        started_at: view.started_at,
        location: repository.storage.location,
      });
    if (several && view.incomplete !== null) tellError(app, source.name, incompleteError(view));
    return view;
  } catch (error) {
    if (app.signal.aborted) return null;
    const known = asFailure(error).toJSON();
    // The only one's error is the whole command's.
    if (several) tellError(app, source.name, known);
    return { error: known };
  }
}

function tellError(app: App, source: string, error: Record<string, unknown>): void {
  app.observer.event({ type: 'error', source, error });
}

function incompleteError({ source, id, incomplete }: BackupView): Record<string, unknown> {
  return failure('backup_incomplete', { source, id: id.slice(0, 8), what: incomplete ?? '' }).toJSON();
}

/** In the order in which the sources were asked for, whichever was done first. */
function summarize(
  app: App,
  repository: Repository,
  chosen: readonly ChosenSource[],
  outcomes: ReadonlyMap<string, SourceOutcome>,
): BackupResult {
  const backups: BackupView[] = [];
  const failed: FailedSource[] = [];
  const notMade: string[] = [];
  for (const { name } of chosen) {
    const outcome = outcomes.get(name) ?? null;
    if (outcome === null) notMade.push(name);
    else if ('error' in outcome) failed.push({ source: name, error: outcome.error });
    else backups.push(outcome);
  }
  const error =
    notMade.length > 0 ? asFailure(app.signal.reason).toJSON() : overall(failed, chosen.length, backups);
  return { ...resultOf(repository, error), dry_run: false, backups, failed, not_made: notMade, copies: [] };
}

function tell(app: App, view: BackupView): void {
  const { id, source, bytes_read, bytes_added, warnings } = view;
  app.log.info('backup done', { backup: id, source, bytes_read, bytes_added });
  app.observer.event({ type: 'backup', backup: view });
  for (const warning of warnings)
    app.observer.notice({ level: 'warning', message: `${source}: ${warning}`, recorded: true });
}

async function one(
  { app, origin, options, threads, permits, jobs }: RunParts,
  repository: Repository,
  chosen: ChosenSource,
): Promise<Manifest> {
  const source = await prepareSource(app, chosen);
  using progress = app.observer.progress(chosen.name);
  return await backupSource(repository, source, {
    signal: app.signal,
    log: app.log,
    jobs,
    permits,
    packBytes: threads.packBytes,
    progress,
    clock: app.machine.clock,
    compression: app.compression,
    tags: { ...chosen.config.tags, ...options.tags },
    origin,
  });
}

async function plan(
  app: App,
  repository: Repository,
  chosen: readonly ChosenSource[],
): Promise<BackupResult> {
  const plans: NonNullable<BackupResult['plan']>[number][] = [];
  const failed: FailedSource[] = [];
  for (const source of chosen) {
    app.signal.throwIfAborted();
    const findings = await checkSource(app, source);
    plans.push({ source: source.name, kind: source.config.type, findings });
    const [first] = findings.filter(({ level }) => level === 'error');
    if (first === undefined) continue;
    const error = errorOfFinding(first) ?? failure('doctor_failed', { checks: first.check }).toJSON();
    failed.push({ source: source.name, error });
  }
  const result = resultOf(repository, dryRunError(failed, chosen.length));
  return { ...result, dry_run: true, backups: [], failed, not_made: [], copies: [], plan: plans };
}

/** Of one source its own error; where there are several, all that would fail are named. */
function dryRunError(failed: readonly FailedSource[], total: number): BackupResult['error'] {
  const [first] = failed;
  if (first === undefined || total === 1) return first?.error;
  const names = failed.map(({ source }) => source).join(', ');
  return failure('dry_run_failed', { failed: failed.length, total, names }).toJSON();
}

function resultOf(repository: Repository, error: BackupResult['error']) {
  return {
    schema: 1 as const,
    ok: error === undefined,
    ...(error === undefined ? {} : { error }),
    repository: { id: repository.info.id, location: repository.storage.location },
  };
}

/** Undefined when all succeeded. When nothing at all did, the first error is the whole command's. */
function overall(
  failed: readonly FailedSource[],
  total: number,
  backups: readonly BackupView[] = [],
): Record<string, unknown> | undefined {
  const incomplete = backups.filter((view) => view.incomplete !== null);
  const [first] = failed;
  const [partial] = incomplete;
  if (first !== undefined && failed.length === total) return first.error;
  if (partial !== undefined && total === 1) return incompleteError(partial);
  const sources = [...failed, ...incomplete].map(({ source }) => source);
  if (sources.length === 0) return undefined;
  return failure('partly_done', { failed: sources.length, total, names: sources.join(', ') }).toJSON();
}
