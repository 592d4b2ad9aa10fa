import type { Manifest } from '../contract/manifest.ts';
import { failure, isFailure } from '../kernel/errors/failure.ts';
import { restoreBackup, restoreContext } from '../operations/restore.ts';
import type { Repository } from '../repository/repository.ts';
import type { FilesRestored, FilesRestoreSummary } from '../sources/files/restore/restore.ts';
import type { Progress, RestoreContext } from '../sources/port.ts';
import type { ClusterRestored, ClusterRestoreSummary } from '../sources/postgres-cluster/restore/restore.ts';
import type { RestorePlanSummary } from '../sources/postgres-logical/restore-options.ts';
import type { RestoreSummary } from '../sources/postgres-logical/restore.ts';
import type { SqliteRestored, SqliteRestoreSummary } from '../sources/sqlite/restore/restore.ts';
import { backupView, type BackupView } from './backup-view.ts';
import { withApp, type App, type AppContext, type CommonOptions, type Outcome } from './compose.ts';
import { warnOfMissingNewest } from './newest-missing.ts';
import { openForReading } from './open-for-reading.ts';
import { chooseRecovery, type ClusterRecovery } from './recovery.ts';
import type { RecoveryOptions } from './recovery-wish.ts';
import { refuseRepositoryPlace } from './repository-place.ts';
import { kindNamed } from './kinds/find.ts';
import type { AnyRestored, AnyRestorePlan, PlannedRestore, RestoreWish } from './kinds/kind.ts';

export interface RestoreOptions extends CommonOptions, RecoveryOptions {
  /** An id, a prefix of one, a time, `latest` or `latest:SOURCE`. */
  readonly id: string;
  /** `postgres://…/database`, a directory or a file, as the kind of backup asks for. */
  readonly to: string;
  readonly only?: readonly string[] | undefined;
  readonly owner?: boolean | undefined;
  readonly privileges?: boolean | undefined;
  readonly globals?: boolean | undefined;
  /** False: what is restored is not compared with the backup. */
  readonly check?: boolean | undefined;
  /** Put what is restored in the place of what is there. */
  readonly force?: boolean | undefined;
  /** Answer yes where a question would be asked. */
  readonly yes?: boolean | undefined;
  readonly dryRun?: boolean | undefined;
}

export interface RestoreResult extends Outcome {
  readonly dry_run: boolean;
  readonly repository: { readonly id: string; readonly location: string };
  readonly backup: BackupView;
  /** Of the shape of the backup's kind. */
  readonly plan: AnyRestorePlan;
  /** What was restored; null after a dry run. */
  readonly restored: AnyRestored | null;
  readonly duration_ms: number;
}

/** A result of one kind of backup. */
export interface ResultOf<Plan extends AnyRestorePlan, Restored extends AnyRestored> extends RestoreResult {
  readonly plan: Plan;
  readonly restored: Restored | null;
}

export function isPostgres(result: RestoreResult): result is ResultOf<RestorePlanSummary, RestoreSummary> {
  return ['postgres', 'postgres-sql'].includes(result.backup.kind);
}

export function isCluster(result: RestoreResult): result is ResultOf<ClusterRestoreSummary, ClusterRestored> {
  return result.backup.kind === 'postgres-cluster';
}

export function isSqlite(result: RestoreResult): result is ResultOf<SqliteRestoreSummary, SqliteRestored> {
  return result.backup.kind === 'sqlite';
}

export function isFiles(result: RestoreResult): result is ResultOf<FilesRestoreSummary, FilesRestored> {
  return result.backup.kind === 'files';
}

/**
 * Restores a backup: plans (and refuses what cannot go well) before it reads the data, checks what it needs
 * before the target is touched, and only then restores.
 */
export async function restore(options: RestoreOptions, context: AppContext): Promise<RestoreResult> {
  const audited =
    options.dryRun === true ? null : { name: 'restore', touched: ({ backup }: RestoreResult) => [backup.id] };
  return withApp(options, context, audited, async (app) => {
    refuseNonsense(options);
    const { repository, found } = await openForReading(app);
    await using _repository = repository;
    const meant = await repository.find(options.id, { signal: app.signal });
    const startedNs = app.machine.clock.monotonicNs();
    using progress = app.observer.progress(`restore ${meant.id.slice(0, 8)}`);
    const request = { reference: options.id, manifest: meant, options, repository, found, progress };
    const { manifest, recovery } = await chooseRecovery(app, request);
    await warnOfMissingNewest(app, repository, options.id, meant);
    const wish = wishOf(options, recovery);
    const plan = await agreedPlan(app, repository, manifest, { ...options, wish }, progress);
    for (const { path, replaces } of placesOf(plan.summary))
      await refuseRepositoryPlace(repository, path, replaces);
    app.observer.event({ type: 'plan', plan: plan.summary });
    const restored = options.dryRun === true ? null : await run(app, repository, manifest, plan, progress);
    return {
      schema: 1,
      ok: true,
      dry_run: options.dryRun === true,
      repository: { id: repository.info.id, location: repository.storage.location },
      backup: backupView(manifest),
      plan: plan.summary,
      restored,
      duration_ms: Number((app.machine.clock.monotonicNs() - startedNs) / 1_000_000n),
    };
  });
}

/** Where in the file system a restore would write. */
function placesOf(plan: AnyRestorePlan): readonly { readonly path: string; readonly replaces: boolean }[] {
  if (!('kind' in plan)) return [];
  if (plan.kind === 'postgres-cluster') {
    const places = plan.tablespaces.map(({ location }) => ({ path: location, replaces: false }));
    return [{ path: plan.target, replaces: plan.mode === 'replace' }, ...places];
  }
  if (plan.kind === 'files') return [{ path: plan.target, replaces: plan.mode === 'replace' }];
  return plan.databases.map(({ file }) => ({ path: file, replaces: false }));
}

/** Whether nothing is at the target yet. */
function isNew(plan: AnyRestorePlan): boolean {
  if ('databases' in plan) return plan.databases.every(({ mode }) => mode === 'create');
  return plan.mode === 'create';
}

async function run(
  app: App,
  repository: Repository,
  manifest: Manifest,
  plan: PlannedRestore,
  progress: Progress,
): Promise<AnyRestored> {
  const restored = await restoreBackup(
    repository,
    manifest,
    { needs: plan.needs, isNew: isNew(plan.summary), restore: (context) => plan.run(context) },
    { signal: app.signal, log: app.log, jobs: app.jobs, progress },
  );
  app.log.info('restore done', { backup: manifest.id, target: plan.summary.target });
  return restored;
}

/** The plan. Where the target is not empty, `--yes` or whoever sits there decides whether it may be replaced. */
async function agreedPlan(
  app: App,
  repository: Repository,
  manifest: Manifest,
  { wish, to, yes }: RestoreOptions & { readonly wish: RestoreWish },
  progress: Progress,
): Promise<PlannedRestore> {
  const context: RestoreContext = restoreContext(repository, manifest, {
    signal: app.signal,
    log: app.log,
    jobs: app.jobs,
    progress,
  });
  const kind = await kindNamed(manifest.source.kind);
  try {
    return await kind.planRestore(app, manifest, wish, context);
  } catch (error) {
    const names = [
      'postgres_restore_not_empty',
      'restore_target_exists',
      'cluster_target_not_empty',
    ] as const;
    if (!isFailure(error) || !names.some((name) => isFailure(error, name))) throw error;
    if (yes !== true) {
      if (app.asker === null) throw error;
      progress.phase('waiting for an answer');
      if (!(await app.asker.confirm(`${error.message}. Put the restored one in its place?`))) {
        throw failure('declined', { what: `what is at ${targetOf(to)} was not replaced` });
      }
    }
    return await kind.planRestore(app, manifest, { ...wish, force: true }, context);
  }
}

/** What no kind of backup understands is refused before anything is opened. */
function refuseNonsense({ to, only = [] }: RestoreOptions): void {
  if (to === '' || /^(?!postgres(?:ql)?:|file:)[a-z][a-z0-9+.-]*:\/\//i.test(to)) {
    throw failure('usage', {
      reason: to === '' ? '--to is empty' : '--to is neither a database nor a path',
      suggestion: 'a database is postgres://user@host:5432/database, anything else a directory or file',
    });
  }
  // A name alone may be meant as a path or a table: the kind of the backup tells.
  const unknown = only.find((text) => !/^(?:(?:table|schema|database|path)=.|[^=]+$)/s.test(text));
  if (unknown === undefined) return;
  throw failure('usage', {
    reason: `--only does not know ${unknown}`,
    suggestion: 'write --only table=schema.name, schema=name, database=name or path=some/path',
  });
}

/** A target without what may be a password. */
function targetOf(to: string): string {
  return to.replace(/^([a-z]+:\/\/).*@/is, '$1');
}

function wishOf(options: RestoreOptions, recovery: ClusterRecovery | null): RestoreWish {
  return {
    to: options.to,
    only: options.only ?? [],
    owner: options.owner !== false,
    privileges: options.privileges !== false,
    globals: options.globals === true,
    check: options.check !== false,
    force: options.force === true,
    recovery,
  };
}
