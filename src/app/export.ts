import { access, mkdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { Manifest } from '../contract/manifest.ts';
import { failure, reasonOf } from '../kernel/errors/failure.ts';
import { removeLeftBehind } from '../kernel/left-behind.ts';
import { mendOf, partialNames } from '../operations/export-file.ts';
import { alreadyThere, exportBackup, type NamedItem, type WrittenFile } from '../operations/export.ts';
import { restoreContext } from '../operations/restore.ts';
import type { Repository } from '../repository/repository.ts';
import { backupView, type BackupView } from './backup-view.ts';
import { withApp, type App, type AppContext, type CommonOptions, type Outcome } from './compose.ts';
import { openForReading } from './open-for-reading.ts';
import { nameItems } from './export-names.ts';
import { exportKindNamed } from './kinds/export-find.ts';
import { randomHex } from './random-hex.ts';
import { typedPath } from './typed-path.ts';
import { refuseRepositoryPlace } from './repository-place.ts';
import { holdfastVersion } from './version.ts';

export interface ExportOptions extends CommonOptions {
  /** An id, a prefix of one, a time, `latest` or `latest:SOURCE`. */
  readonly id: string;
  /** A directory; made when it is missing. */
  readonly to: string;
  readonly format?: string | undefined;
  readonly only?: readonly string[] | undefined;
  /** Write files anew that are there already. */
  readonly force?: boolean | undefined;
  readonly dryRun?: boolean | undefined;
}

export interface ExportedFile {
  /** Absolute. */
  readonly path: string;
  readonly format: string;
  /** Of the file; null after a dry run. */
  readonly bytes: number | null;
  readonly sha256: string | null;
  readonly contents: Readonly<Record<string, unknown>>;
  /** What to type to use it, in its directory. */
  readonly use: string;
  readonly warnings: readonly string[];
}

export interface ExportResult extends Outcome {
  readonly dry_run: boolean;
  readonly repository: { readonly id: string; readonly location: string };
  readonly backup: BackupView;
  readonly files: readonly ExportedFile[];
  readonly duration_ms: number;
}

/** Writes a backup as plain files, each with `.sha256` and `.meta.json`. Until all are complete none has its name. */
export async function exportTo(options: ExportOptions, context: AppContext): Promise<ExportResult> {
  const audited =
    options.dryRun === true ? null : { name: 'export', touched: ({ backup }: ExportResult) => [backup.id] };
  return withApp(options, context, audited, async (app) => {
    const { repository } = await openForReading(app);
    await using _repository = repository;
    const manifest = await repository.find(options.id, { signal: app.signal });
    const startedNs = app.machine.clock.monotonicNs();
    using progress = app.observer.progress(`export ${manifest.id.slice(0, 8)}`);
    const running = { signal: app.signal, log: app.log, jobs: app.jobs, progress };
    const directory = directoryOf(app, options.to);
    await refuseRepositoryPlace(repository, directory, false);
    const plan = await exportKindNamed(manifest.source.kind);
    const wish = { format: options.format, only: options.only ?? [] };
    const items = await plan(app, manifest, wish, restoreContext(repository, manifest, running));
    const wanted = nameItems(manifest, items);
    const named =
      options.force === true ? wanted : await keepSame(wanted, directory, repository, manifest, running);
    if (options.force !== true) await refuseExisting(directory, named);
    for (const { name } of named.filter(({ kept }) => kept !== undefined))
      app.observer.notice({ level: 'info', message: `${name} is there already, the same, and stays` });
    progress.total(items.reduce((sum, { bytes }) => sum + bytes, 0));
    const files =
      options.dryRun === true
        ? named.map((one) => shown(directory, manifest, one))
        : (await write(app, repository, manifest, named, directory, { ...options, running })).map((one) =>
            shown(directory, manifest, one),
          );
    return {
      schema: 1,
      ok: true,
      dry_run: options.dryRun === true,
      repository: { id: repository.info.id, location: repository.storage.location },
      backup: backupView(manifest),
      files,
      duration_ms: Number((app.machine.clock.monotonicNs() - startedNs) / 1_000_000n),
    };
  });
}

type Running = Parameters<typeof restoreContext>[2];

async function write(
  app: App,
  repository: Repository,
  manifest: Manifest,
  named: readonly NamedItem[],
  directory: string,
  { force, running }: ExportOptions & { readonly running: Running },
): Promise<readonly WrittenFile[]> {
  await makeDirectory(directory);
  await removeLeftBehind(directory, partialNames, app.machine.clock.now());
  const exportedAt = new Date(app.machine.clock.now()).toISOString();
  const files = await exportBackup(repository, manifest, named, {
    ...running,
    directory,
    token: `${process.pid}-${randomHex(6)}`,
    replace: force === true,
    describe: (file, all) => description(manifest, file, all, exportedAt),
  });
  app.log.info('export done', { backup: manifest.id, directory, files: files.length });
  return files;
}

function shown(directory: string, manifest: Manifest, one: NamedItem & Partial<WrittenFile>): ExportedFile {
  const { item, name } = one;
  return {
    path: join(directory, name),
    format: item.format,
    bytes: one.bytes ?? null,
    sha256: one.sha256 ?? null,
    contents: item.contents,
    use: item.use(name),
    warnings: warningsOf(manifest, one),
  };
}

function warningsOf(manifest: Manifest, { item }: NamedItem): string[] {
  const { incomplete } = manifest;
  return [...(incomplete === undefined ? [] : [`the backup is incomplete: ${incomplete}`]), ...item.warnings];
}

/** The `.meta.json` of a file. `import` reads it. */
function description(
  manifest: Manifest,
  file: WrittenFile,
  all: readonly WrittenFile[],
  exportedAt: string,
): Record<string, unknown> {
  const { item, name, bytes, sha256 } = file;
  const others = all.filter((other) => other !== file).map((other) => other.name);
  return {
    schema: 1,
    file: name,
    format: item.format,
    compression: item.gzip ? 'gzip' : null,
    bytes,
    sha256,
    use: item.use(name),
    contents: item.contents,
    warnings: [...warningsOf(manifest, file), ...manifest.warnings],
    exported_with: others,
    exported_at: exportedAt,
    holdfast_version: holdfastVersion(),
    backup: {
      id: manifest.id,
      source: manifest.source.name,
      kind: manifest.source.kind,
      started_at: manifest.started_at,
      finished_at: manifest.finished_at,
      tags: manifest.tags,
      incomplete: manifest.incomplete ?? null,
      origin: manifest.origin,
    },
  };
}

function directoryOf(app: App, to: string): string {
  if (to === '' || /^[a-z][a-z0-9+.-]*:\/\//i.test(to)) {
    throw failure('usage', {
      reason: `--to ${to === '' ? 'is empty' : 'is not a directory'}`,
      suggestion: 'an export goes to a directory: --to ./exported',
    });
  }
  return typedPath(to, app.machine);
}

/** Marks files that an export of the same backup in another format has written just so. */
async function keepSame(
  named: readonly NamedItem[],
  directory: string,
  repository: Repository,
  manifest: Manifest,
  running: Running,
): Promise<readonly NamedItem[]> {
  const context = restoreContext(repository, manifest, running);
  const marked: NamedItem[] = [];
  for (const one of named) {
    const kept = one.item.shared === true ? await alreadyThere(one, directory, running, context) : undefined;
    marked.push(kept === undefined ? one : { ...one, kept });
  }
  return marked;
}

async function refuseExisting(directory: string, named: readonly NamedItem[]): Promise<void> {
  const toWrite = named.filter(({ kept }) => kept === undefined);
  const names = toWrite.flatMap(({ name }) => [name, `${name}.sha256`, `${name}.meta.json`]);
  const there: string[] = [];
  for (const name of names) {
    try {
      await access(join(directory, name));
      there.push(name);
    } catch {
      continue; // not there: what else may be wrong with the directory shows when it is made
    }
  }
  if (there.length > 0) throw failure('export_exists', { directory, names: there.join(', ') });
}

async function makeDirectory(directory: string): Promise<void> {
  try {
    await mkdir(directory, { recursive: true, mode: 0o700 });
    if (!(await stat(directory)).isDirectory()) throw new Error('it is no directory');
  } catch (error) {
    const { code = '' } = error as NodeJS.ErrnoException;
    const reason = code === 'EEXIST' || code === 'ENOTDIR' ? 'a file is in its place' : reasonOf(error);
    const mend =
      code === 'EEXIST' || code === 'ENOTDIR' ? 'choose another directory' : mendOf(code, directory);
    throw failure('export_target', { directory, reason, mend }, { cause: error });
  }
}
