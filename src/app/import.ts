import { basename, isAbsolute, resolve } from 'node:path';
import type { Manifest } from '../contract/manifest.ts';
import { asFailure, failure } from '../kernel/errors/failure.ts';
import { backupSource } from '../operations/backup.ts';
import type { BackupSource } from '../operations/contract.ts';
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
import { gitInfo } from './git.ts';
import { checkSum, descriptionOf, withoutCompanions, withoutDirectories } from './import-companions.ts';
import { examine, isSourceName, sourceOf } from './import-source.ts';
import type { TaskProgress } from './observer.ts';
import { holdfastVersion } from './version.ts';

export interface ImportOptions extends CommonOptions {
  readonly files: readonly string[];
  /** The source the backups are of; what the files say, or their names, unless given. */
  readonly source?: string | undefined;
  readonly tags?: Readonly<Record<string, string>> | undefined;
  readonly dryRun?: boolean | undefined;
}

export interface PlannedImport {
  readonly file: string;
  readonly format: string;
  readonly kind: string;
  readonly source: string;
  readonly tags: Readonly<Record<string, string>>;
  /** A checksum lay beside it, and fits. */
  readonly checked: boolean;
}

export interface ImportResult extends Outcome {
  readonly dry_run: boolean;
  readonly repository: { readonly id: string; readonly location: string };
  readonly backups: readonly BackupView[];
  readonly failed: readonly { readonly file: string; readonly error: Record<string, unknown> }[];
  /** Files that an interruption left without a backup. */
  readonly not_made: readonly string[];
  /** With `--dry-run`: what would be made of each. */
  readonly plan?: readonly PlannedImport[];
}

interface Parts {
  readonly app: App;
  readonly repository: Repository;
  readonly options: ImportOptions;
  readonly origin: Manifest['origin'];
}

/**
 * Makes a backup of each file. One that fails does not stop the others; the result then names it, or carries the first
 * error when none succeeded.
 */
export async function importFiles(options: ImportOptions, context: AppContext): Promise<ImportResult> {
  const touched = (result: ImportResult): string[] => result.backups.map(({ id }) => id);
  const audited = options.dryRun === true ? null : { name: 'import', touched };
  return withApp(options, context, audited, async (app) => {
    checkSourceName(options.source);
    await using repository = await openConfiguredRepository(app);
    const origin = {
      host: app.machine.host,
      user: app.machine.user,
      holdfast_version: holdfastVersion(),
      git: await gitInfo(app.machine.cwd, app.signal),
    };
    const given = await withoutCompanions(options.files, app.machine.cwd);
    const { files, passedOver } = await withoutDirectories(given, app.machine.cwd);
    for (const name of passedOver)
      app.observer.notice({ level: 'info', message: `${name} is a directory and is passed over` });
    return await all({ app, repository, options: { ...options, files }, origin });
  });
}

async function all(parts: Parts): Promise<ImportResult> {
  const { app, repository, options } = parts;
  const plan: PlannedImport[] = [];
  const backups: BackupView[] = [];
  const failed: { file: string; error: Record<string, unknown> }[] = [];
  const notMade: string[] = [];
  for (const file of options.files) {
    try {
      app.signal.throwIfAborted();
      const done = await one(parts, file);
      if ('id' in done) backups.push(done);
      else plan.push(done);
    } catch (error) {
      if (app.signal.aborted) {
        notMade.push(file);
        continue;
      }
      const known = asFailure(error).toJSON();
      failed.push({ file, error: known });
      // The only one's error is the whole command's.
      if (options.files.length > 1)
        app.observer.event({ type: 'error', source: basename(file), error: known });
    }
  }
  const error = notMade.length > 0 ? asFailure(app.signal.reason).toJSON() : overall(failed, options);
  return {
    schema: 1,
    ok: error === undefined,
    ...(error === undefined ? {} : { error }),
    dry_run: options.dryRun === true,
    repository: { id: repository.info.id, location: repository.storage.location },
    backups,
    failed,
    not_made: notMade,
    ...(options.dryRun === true ? { plan } : {}),
  };
}

async function one(parts: Parts, shown: string): Promise<BackupView | PlannedImport> {
  const { app, options } = parts;
  const path = isAbsolute(shown) ? resolve(shown) : resolve(app.machine.cwd, shown);
  using progress = app.observer.progress(basename(path));
  const description = await descriptionOf(path);
  const file = await examine({ path, shown, description }, options);
  const running = { signal: app.signal, progress };
  const checked = await checkSum(path, description, running);
  if (file.globals !== undefined) await checkSum(file.globals.path, file.globals.description, running);
  const { format, kind, source, tags } = file;
  if (options.dryRun === true) return { file: shown, format, kind, source, tags, checked };
  const view = backupView(await store(parts, file, progress));
  app.log.info('import done', { backup: view.id, source, file: path });
  app.observer.event({ type: 'backup', backup: view });
  for (const message of view.warnings)
    app.observer.notice({ level: 'warning', message: `${basename(path)}: ${message}`, recorded: true });
  return view;
}

async function store(
  { app, repository, options, origin }: Parts,
  file: Awaited<ReturnType<typeof examine>>,
  progress: TaskProgress,
): Promise<Manifest> {
  const incomplete = file.description?.backup?.incomplete ?? null;
  return await backupSource(repository, markedSource(sourceOf(app, file), incomplete), {
    signal: app.signal,
    log: app.log,
    jobs: options.jobs ?? app.jobs,
    progress,
    clock: app.machine.clock,
    compression: app.compression,
    tags: file.tags,
    origin,
  });
}

/** What was missing when it was backed up first is missing still. */
function markedSource(source: BackupSource, incomplete: string | null): BackupSource {
  if (incomplete === null) return source;
  return {
    ...source,
    backup: async (context) => {
      const outcome = await source.backup(context);
      const all = outcome.incomplete === undefined ? incomplete : `${incomplete}; ${outcome.incomplete}`;
      const warning = `it was exported from a backup that is incomplete: ${incomplete}`;
      return { ...outcome, incomplete: all, warnings: [warning, ...outcome.warnings] };
    },
  };
}

function overall(
  failed: ImportResult['failed'],
  { files }: ImportOptions,
): Record<string, unknown> | undefined {
  const [first] = failed;
  const total = files.length;
  if (first === undefined) return undefined;
  if (failed.length === total) return first.error;
  const names = failed.map(({ file }) => file).join(', ');
  return failure('partly_done', { failed: failed.length, total, names }).toJSON();
}

function checkSourceName(name: string | undefined): void {
  if (name === undefined || isSourceName(name)) return;
  throw failure('usage', {
    reason: `--source ${name} is no name of a source`,
    suggestion: 'use letters, digits, - and _, at most 63 of them',
  });
}
