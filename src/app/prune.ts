import { extendLocks, type LockOptions } from '../operations/lock.ts';
import { prune as pruneRepository } from '../operations/prune/prune.ts';
import type { PruneReport } from '../operations/prune/report.ts';
import {
  openConfiguredRepository,
  withApp,
  type App,
  type AppContext,
  type CommonOptions,
  type Outcome,
} from './compose.ts';
import type { Repository } from '../repository/repository.ts';
import { keptWal } from './kept-wal.ts';
import { tellAhead } from './period-clock.ts';
import { storageSettingsOf } from './places.ts';
import { assertNotRolledBack } from './rolled-back.ts';

export interface PruneOptions extends CommonOptions {
  /** Milliseconds; of the configuration unless given. */
  readonly graceMs?: number | undefined;
  /** From 0 to 1; of the configuration unless given. */
  readonly maxUnused?: number | undefined;
  readonly dryRun?: boolean | undefined;
}

export interface PruneResult extends Outcome, PruneReport {
  readonly repository: { readonly id: string; readonly location: string };
}

/** Gives the space back that no backup needs; see `operations/prune/prune.ts` for the errors. */
export async function prune(options: PruneOptions, context: AppContext): Promise<PruneResult> {
  const audited = options.dryRun === true ? null : { name: 'prune' };
  return withApp(options, context, audited, async (app) => {
    await using repository = await openConfiguredRepository(app);
    const report = await pruneOpened(app, repository, options);
    return {
      schema: 1,
      ok: true,
      ...report,
      repository: { id: repository.info.id, location: repository.storage.location },
    };
  });
}

/** The same for a repository that is open. */
export async function pruneOpened(
  app: App,
  repository: Repository,
  options: Pick<PruneOptions, 'graceMs' | 'maxUnused' | 'dryRun'>,
): Promise<PruneReport> {
  await assertNotRolledBack(app, repository);
  const { machine, config, signal, log, jobs, compression } = app;
  using progress = app.observer.progress('prune');
  let isTold = false;
  const tellAheadOnce = (nowMs: number): void => {
    if (!isTold) tellAhead(app, nowMs);
    isTold = true;
  };
  const report = await pruneRepository(repository, {
    signal,
    log,
    jobs,
    progress,
    clock: machine.clock,
    host: machine.host,
    pid: process.pid,
    isAlive,
    graceMs: options.graceMs ?? config.prune.grace,
    maxUnused: options.maxUnused ?? config.prune.max_unused,
    dryRun: options.dryRun === true,
    keptWal: async (question) => {
      tellAheadOnce(question.nowMs);
      return await keptWal(app, repository, question);
    },
    compression,
  });
  if (options.dryRun !== true) await keepLocked(app, repository, progress);
  return report;
}

/** What stays stays locked, where the storage locks; what was marked just now is left to run out. */
async function keepLocked(
  app: App,
  repository: Repository,
  progress: LockOptions['progress'],
): Promise<void> {
  const periodMs = storageSettingsOf(app.config, app.config.repository).s3.object_lock;
  if (periodMs === undefined) return;
  const locks = await extendLocks(repository, { periodMs, signal: app.signal, progress });
  if (locks === null) return;
  app.log.info('locks extended', { ...locks });
  const message = `everything that is kept is locked until ${locks.until}`;
  app.observer.notice({ level: 'info', message, recorded: true });
}

/** Whether a process of this machine is there; one of another user's is. */
function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}
