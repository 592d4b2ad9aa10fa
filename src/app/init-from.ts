import { open, rename, rm, stat } from 'node:fs/promises';
import { dirname, join, relative, resolve } from 'node:path';
import type { Manifest } from '../contract/manifest.ts';
import { failure, isFailure, reasonOf } from '../kernel/errors/failure.ts';
import { keptConfigNames, readKeptConfig, type KeptConfig } from '../repository/kept-config.ts';
import type { Repository } from '../repository/repository.ts';
import {
  openConfiguredRepository,
  withApp,
  type App,
  type AppContext,
  type CommonOptions,
  type Outcome,
} from './compose.ts';
import { envExample, needsOf, type ConfigNeeds } from './env-example.ts';

/** So many backups are looked at for what sources there are. */
const lookBack = 200;

export interface InitFromOptions extends CommonOptions {
  /** The repository, as `repository` is written. */
  readonly fromRepository: string;
  /** Whose configuration is wanted: that of the newest backup unless given. */
  readonly host?: string | undefined;
  /** `holdfast.yaml` in the current directory unless given. */
  readonly out?: string | undefined;
  /** Put what is there already out of the way. */
  readonly force?: boolean | undefined;
}

export interface FoundConfiguration {
  readonly object: string;
  readonly host: string;
  readonly user: string;
  readonly saved_at: string;
  /** Its path on that machine; null when there was no file. */
  readonly file: string | null;
}

export interface InitFromResult extends Outcome, ConfigNeeds {
  readonly repository: { readonly id: string; readonly location: string };
  /** All that are kept, the newest first. */
  readonly configurations: readonly FoundConfiguration[];
  /** The one that was written. */
  readonly configuration: FoundConfiguration & { readonly sha256: string };
  readonly written: { readonly config: string; readonly env: string };
  /** What the newest backups are of. */
  readonly sources: readonly { readonly source: string; readonly kind: string; readonly restore: string }[];
}

/**
 * Brings the configuration back that is kept in a repository: `holdfast.yaml`, and beside it `.env.example` with what must be
 * set. `config_not_kept`, `config_exists`.
 */
export async function initFrom(options: InitFromOptions, context: AppContext): Promise<InitFromResult> {
  const common = { ...options, repo: options.fromRepository };
  return await withApp(common, context, { name: 'init' }, async (app) => {
    const config = resolve(app.machine.cwd, options.out ?? 'holdfast.yaml');
    const written = { config, env: join(dirname(config), '.env.example') };
    if (options.force !== true) for (const path of Object.values(written)) await refuseExisting(path);
    await using repository = await openConfiguredRepository(app);
    const { location } = repository.storage;
    const all = await configurations(app, repository);
    const manifests = await newestBackups(repository, app.signal);
    const kept = choose(all, options.host, manifests[0]?.origin.host);
    if (kept === undefined) throw notKept(location, options.host, all);
    const needs = needsOf(kept.config, { env: app.env, encrypted: repository.info.encrypted });
    await write(written.config, kept.config.text || noFile(kept.config), options.force);
    await write(written.env, envExample(kept.config, needs), options.force);
    return {
      schema: 1,
      ok: true,
      repository: { id: repository.info.id, location },
      configurations: all.map(found),
      configuration: { ...found(kept), sha256: kept.config.sha256 },
      written: { config: shown(app, written.config), env: shown(app, written.env) },
      ...needs,
      sources: manifests.map(({ source: { name, kind } }) => ({
        source: name,
        kind,
        restore: `holdfast restore latest:${name} --to ${target(name, kind)} --repo '${location}'`,
      })),
    };
  });
}

interface Kept {
  readonly object: string;
  readonly config: KeptConfig;
}

/** The newest first. One that is damaged is told of and passed over. */
async function configurations(app: App, repository: Repository): Promise<Kept[]> {
  const all: Kept[] = [];
  for (const { object } of (await keptConfigNames(repository, app.signal)).toReversed()) {
    try {
      const config = await readKeptConfig(repository, object, app.signal);
      if (config !== undefined) all.push({ object, config });
    } catch (error) {
      if (!isFailure(error, 'object_damaged')) throw error;
      app.observer.notice({ level: 'warning', message: error.message });
    }
  }
  return all;
}

/** Of each source the newest backup that can be read, the newest of all first. */
async function newestBackups(repository: Repository, signal: AbortSignal): Promise<Manifest[]> {
  const newest = new Map<string, Manifest>();
  for (const name of (await repository.names({ signal })).slice(-lookBack).toReversed()) {
    try {
      const manifest = await repository.manifest(name, { signal });
      if (!newest.has(manifest.source.name)) newest.set(manifest.source.name, manifest);
    } catch (error) {
      if (!isFailure(error, 'object_damaged') && !isFailure(error, 'backup_unknown')) throw error;
    }
  }
  return [...newest.values()];
}

/** Of the host that is named; else of that of the newest backup, else of any. */
function choose(
  all: readonly Kept[],
  named: string | undefined,
  newest: string | undefined,
): Kept | undefined {
  const of = (host: string | undefined): Kept | undefined => all.find(({ config }) => config.host === host);
  return named === undefined ? (of(newest) ?? all[0]) : of(named);
}

function notKept(location: string, host: string | undefined, all: readonly Kept[]): Error {
  const hosts = [...new Set(all.map(({ config }) => config.host))];
  const suggestion =
    hosts.length === 0
      ? 'write it anew: holdfast config template > holdfast.yaml; restores need none: holdfast list --repo and the place'
      : `there are those of ${hosts.join(', ')}: name one with --host`;
  return failure('config_not_kept', { of: host === undefined ? '' : ` of ${host}`, location, suggestion });
}

function found({ object, config: { host, user, saved_at, file } }: Kept): FoundConfiguration {
  return { object, host, user, saved_at, file };
}

function noFile({ host, saved_at }: KeptConfig): string {
  return `# ${host} had no configuration file on ${saved_at}: the environment gave all, see .env.example\n`;
}

/** To somewhere new: what is there already is not touched without --force. */
function target(name: string, kind: string): string {
  if (kind === 'postgres' || kind === 'postgres-sql') return 'postgres://USER@HOST/NEW_DATABASE';
  if (kind === 'sqlite') return `./${name}-restored/`;
  return `./${name}-restored${kind === 'postgres-cluster' ? ' --at-end' : ''}`;
}

function shown({ machine: { cwd } }: App, path: string): string {
  const short = relative(cwd, path);
  return short.startsWith('..') ? path : short;
}

async function refuseExisting(path: string): Promise<void> {
  try {
    await stat(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return;
    throw failure('config_not_written', { path, reason: reasonOf(error) }, { cause: error });
  }
  throw failure('config_exists', { path });
}

/** Whole or not at all; without `force` nothing that is there is replaced. */
async function write(path: string, text: string, force = false): Promise<void> {
  const beside = `${path}.holdfast-new`;
  try {
    await writeNew(force ? beside : path, text);
    if (force) await rename(beside, path);
  } catch (error) {
    if (force) await rm(beside, { force: true });
    if ((error as NodeJS.ErrnoException).code === 'EEXIST')
      throw failure('config_exists', { path }, { cause: error });
    throw failure('config_not_written', { path, reason: reasonOf(error) }, { cause: error });
  }
}

async function writeNew(path: string, text: string): Promise<void> {
  await using file = await open(path, 'wx', 0o644);
  await file.writeFile(text);
  await file.sync();
}
