import { randomBytes } from 'node:crypto';
import type { Manifest } from '../contract/manifest.ts';
import { failure, isFailure } from '../kernel/errors/failure.ts';
import { restoreBackup } from '../operations/restore.ts';
import type { Repository } from '../repository/repository.ts';
import type { Progress, RestoreContext } from '../sources/port.ts';
import type {
  PostgresRestoreOptions,
  RestorePlan,
  RestorePlanSummary,
} from '../sources/postgres-logical/restore-options.ts';
import { planRestore } from '../sources/postgres-logical/restore-plan.ts';
import { entriesNeeded, runRestore, type RestoreSummary } from '../sources/postgres-logical/restore.ts';
import { backupView, type BackupView } from './backup-view.ts';
import {
  openConfiguredRepository,
  withApp,
  type App,
  type AppContext,
  type CommonOptions,
  type Outcome,
} from './compose.ts';
import { parseOnly, restoreTarget } from './restore-target.ts';

export interface RestoreOptions extends CommonOptions {
  /** An id, a prefix of one, a time, `latest` or `latest:SOURCE`. */
  readonly id: string;
  /** `postgres://…/database`. */
  readonly to: string;
  readonly only?: readonly string[] | undefined;
  readonly owner?: boolean | undefined;
  readonly privileges?: boolean | undefined;
  readonly globals?: boolean | undefined;
  /** False: what is restored is not compared with the backup. */
  readonly check?: boolean | undefined;
  /** Put the restored database in the place of one that is not empty. */
  readonly force?: boolean | undefined;
  /** Answer yes where a question would be asked. */
  readonly yes?: boolean | undefined;
  readonly dryRun?: boolean | undefined;
}

export interface RestoreResult extends Outcome {
  readonly dry_run: boolean;
  readonly repository: { readonly id: string; readonly location: string };
  readonly backup: BackupView;
  readonly plan: RestorePlanSummary;
  /** What was restored; null after a dry run. */
  readonly restored: RestoreSummary | null;
  readonly duration_ms: number;
}

/**
 * Restores a backup: plans (and refuses what cannot go well) before it reads the data, checks every byte it needs
 * before the target is touched, and only then restores.
 */
export async function restore(options: RestoreOptions, context: AppContext): Promise<RestoreResult> {
  const audited =
    options.dryRun === true ? null : { name: 'restore', touched: ({ backup }: RestoreResult) => [backup.id] };
  return withApp(options, context, audited, async (app) => {
    const postgres = postgresOptions(app, options);
    await using repository = await openConfiguredRepository(app);
    const manifest = await repository.find(options.id, { signal: app.signal });
    if (manifest.source.kind !== 'postgres') {
      const what = `restoring a backup of kind ${manifest.source.kind}`;
      throw failure('not_in_this_version', { what, suggestion: 'install the newest Holdfast' });
    }
    const toolsDirectory = app.config.sources[manifest.source.name]?.client_bin;
    const wanted = { ...postgres, toolsDirectory };
    const startedNs = app.machine.clock.monotonicNs();
    using progress = app.observer.progress(`restore ${manifest.id.slice(0, 8)}`);
    const plan = await agreedPlan(app, repository, manifest, wanted, options, progress);
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

async function run(
  app: App,
  repository: Repository,
  manifest: Manifest,
  plan: RestorePlan,
  progress: Progress,
) {
  const restored = await restoreBackup(
    repository,
    manifest,
    {
      needs: entriesNeeded(plan),
      restore: (context) => runRestore(plan, context, () => app.machine.clock.monotonicNs()),
    },
    { signal: app.signal, log: app.log, jobs: app.jobs, progress },
  );
  app.log.info('restore done', {
    backup: manifest.id,
    server: plan.summary.server,
    database: plan.summary.target,
  });
  return restored;
}

/** The plan. Where the target is not empty, `--yes` or whoever sits there decides whether it may be replaced. */
async function agreedPlan(
  app: App,
  repository: Repository,
  manifest: Manifest,
  postgres: PostgresRestoreOptions,
  options: RestoreOptions,
  progress: Progress,
): Promise<RestorePlan> {
  const context: RestoreContext = {
    signal: app.signal,
    log: app.log.child({ backup: manifest.id }),
    jobs: app.jobs,
    metadata: manifest.metadata,
    entries: () => repository.entries(manifest, { signal: app.signal }),
    open: (stream) => repository.open(stream, { signal: app.signal }),
    progress,
  };
  try {
    return await planRestore(postgres, context);
  } catch (error) {
    if (!isFailure(error, 'postgres_restore_not_empty')) throw error;
    if (options.yes !== true) {
      if (app.asker === null) throw error;
      progress.phase('waiting for an answer');
      if (!(await app.asker.confirm(`${error.message}. Put the restored one in its place?`))) {
        throw failure('declined', { what: `database ${postgres.target.database} was not replaced` });
      }
    }
    return await planRestore({ ...postgres, force: true }, context);
  }
}

function postgresOptions(app: App, options: RestoreOptions): PostgresRestoreOptions {
  const target = restoreTarget(options.to, app.env);
  if (target.password !== undefined) app.secrets.push(target.password);
  const { selectors, database } = parseOnly(options.only ?? []);
  return {
    target,
    database,
    only: selectors,
    noOwner: options.owner === false,
    noPrivileges: options.privileges === false,
    globals: options.globals === true,
    check: options.check !== false,
    force: options.force === true,
    temporaryDirectory: app.directories.temp,
    randomHex: (count) => randomBytes(count).toString('hex'),
    env: app.env,
  };
}
