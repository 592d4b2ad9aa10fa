import { availableParallelism } from 'node:os';
import type { Config } from '../contract/config.ts';
import type { CodeSettings } from '../contract/config-code.ts';
import { describeOrigin } from '../contract/config-layer.ts';
import type { FlagSetting } from '../contract/config-parse.ts';
import { failure, isFailure } from '../kernel/errors/failure.ts';
import type { Logger } from '../kernel/log.ts';
import type { Secret } from '../kernel/secret.ts';
import type { Compression } from '../pipeline/codec.ts';
import { keysPrefix } from '../repository/layout.ts';
import { readRepositoryInfo } from '../repository/info.ts';
import type { RepositoryInfo } from '../repository/model.ts';
import type { Repository } from '../repository/repository.ts';
import { chooseDefaultDirectory } from '../storage/fs/default-directory.ts';
import type { PlaceConcern } from '../storage/description.ts';
import { openStorage } from '../storage/open.ts';
import type { Storage } from '../storage/port.ts';
import { readAgentFile } from './agent-file.ts';
import { chooseDirectories, type Directories } from './directories.ts';
import { FileHistoryMemory } from './history-memory.ts';
import { openJournal, type Journal } from './journal.ts';
import type { Machine } from './machine.ts';
import type { Asker, Observer } from './observer.ts';
import {
  encryptionExpected,
  requirePassphrase,
  type FoundPassphrase,
  type PassphraseContext,
} from './passphrase.ts';
import { storageSettingsOf } from './places.ts';
import { requestsOf, type PlaceRequests } from './requests.ts';
import { loadSettings, withoutConfiguration, type Settings } from './settings.ts';
import { guarded } from './storage.ts';

/** What a face hands to every use case. */
export interface AppContext {
  readonly machine: Machine;
  readonly observer: Observer;
  /** Null where nobody can be asked. */
  readonly asker: Asker | null;
  readonly signal: AbortSignal;
  /** What was asked, for the audit trail; secrets are masked there. */
  readonly argv: readonly string[];
}

/** Options that every verb takes. */
export interface CommonOptions {
  readonly config?: string | undefined;
  readonly repo?: string | undefined;
  readonly logLevel?: string | undefined;
  readonly jobs?: number | undefined;
  readonly quiet?: boolean | undefined;
  /** Settings of the program that calls; they count before all others. */
  readonly settings?: CodeSettings | undefined;
}

/** Everything wired together for one command. */
export interface App extends AppContext {
  readonly settings: Settings;
  readonly config: Config;
  readonly env: Settings['env'];
  readonly directories: Directories;
  readonly log: Logger;
  /** Masked in the log and the audit trail. */
  readonly secrets: Secret[];
  readonly jobs: number;
  readonly compression: Compression;
  /** Every storage that was opened, for what was asked of them. */
  readonly storages: Storage[];
}

/** What a use case answers: plain JSON. `ok` false goes with the error that decides the exit code. */
export interface Outcome {
  readonly schema: 1;
  readonly ok: boolean;
  readonly error?: Record<string, unknown> | undefined;
  /** What was asked of services that count; absent where none was used. */
  readonly requests?: readonly PlaceRequests[] | undefined;
}

/** An entry of the audit trail: reading commands have none. */
export interface AuditedAs<R> {
  readonly name: string;
  /** Ids of what was made, changed or removed. */
  readonly touched?: (result: R) => readonly string[];
}

/** Loads the configuration, opens log and audit trail, does the work, and records what became of it. */
export async function withApp<R extends Outcome>(
  common: CommonOptions,
  context: AppContext,
  audited: AuditedAs<R> | null,
  work: (app: App) => Promise<R>,
): Promise<R> {
  const settings = await loadSettings(
    { configFile: common.config, flags: flagSettings(common), code: common.settings },
    context.machine,
  );
  const { config, env } = settings;
  const { machine, observer } = context;
  warnOfUnknown(settings, observer);
  const directories = chooseDirectories(config, { env, home: machine.home });
  const shownLevel =
    common.logLevel === undefined ? (common.quiet === true ? 'error' : 'warn') : config.log.level;
  using journal = await openJournal({ config, directories, machine, observer, shownLevel });
  const app: App = {
    ...context,
    settings,
    config,
    env,
    directories,
    log: journal.log,
    secrets: journal.secrets,
    jobs: config.jobs === 'auto' ? Math.min(6, availableParallelism()) : config.jobs,
    compression: compressionOf(config),
    storages: [],
  };
  const result = audited === null ? await work(app) : await recorded(app, journal, audited, work);
  const requests = requestsOf(app.storages);
  return requests === undefined ? result : { ...result, requests };
}

export function compressionOf({ compression: { codec, level } }: Config): Compression {
  return { codec, level: level ?? (codec === 'gzip' ? 6 : 1) };
}

async function recorded<R extends Outcome>(
  app: App,
  journal: Journal,
  { name, touched }: AuditedAs<R>,
  work: (app: App) => Promise<R>,
): Promise<R> {
  const operation = await journal.audit.start(name, app.argv);
  let result: R;
  try {
    result = await work(app);
  } catch (error) {
    journal.quietly((log) => log.error(`${name} failed`, { error }));
    await operation.failed(error);
    throw error;
  }
  const ids = touched?.(result) ?? [];
  if (result.error === undefined) {
    await operation.done(ids);
  } else {
    const { code, message } = result.error;
    journal.quietly((log) => log.error(`${name} failed`, { code, reason: message }));
    await operation.failed(Object.assign(new Error(String(message)), { code }), ids);
  }
  return result;
}

function flagSettings(common: CommonOptions): FlagSetting[] {
  const flags: FlagSetting[] = [];
  if (common.repo !== undefined) flags.push({ path: ['repository'], value: common.repo, flag: '--repo' });
  if (common.logLevel !== undefined)
    flags.push({ path: ['log', 'level'], value: common.logLevel, flag: '--log-level' });
  if (common.jobs !== undefined) flags.push({ path: ['jobs'], value: common.jobs, flag: '--jobs' });
  return flags;
}

function warnOfUnknown(settings: Settings, observer: Observer): void {
  for (const { variable, nearest } of settings.unknownVariables) {
    const hint = nearest === undefined ? {} : { hint: `did you mean ${nearest}?` };
    observer.notice({ level: 'warning', message: `${variable} is set and stands for no setting`, ...hint });
  }
}

/**
 * The place of the repository. With `create` it is made where it is not there. Where nobody named one and ./backups
 * cannot be written, a directory of the user's own takes its place, loudly.
 */
export async function openPlace(app: App, options: PlaceOptions): Promise<Storage> {
  if (options.create) await refuseForeignPlace(app, options);
  const location = await placeOf(app, options);
  return await openStorageAt(app, location, options.create, options.createBucket);
}

export interface PlaceOptions {
  readonly create: boolean;
  /** The bucket, too; only together with `create`. */
  readonly createBucket?: boolean | undefined;
}

/** The storage at a place that somebody has named; with `create` it is made where it is not there. */
export async function openStorageAt(
  app: App,
  location: string,
  create: boolean,
  createBucket = false,
): Promise<Storage> {
  const { log, machine, observer } = app;
  const notice = ({ message, mend }: PlaceConcern): void =>
    observer.notice({ level: 'warning', message, ...(mend === undefined ? {} : { hint: mend }) });
  const storage = await openStorage(location, {
    ...storageOptions(app, location),
    create,
    createBucket,
    notice,
    logger: log,
  });
  app.storages.push(storage);
  return guarded(storage, { log, clock: machine.clock, random: Math.random });
}

async function placeOf(app: App, { create }: PlaceOptions): Promise<string> {
  const preferred = app.config.repository;
  if (app.settings.repositoryNamed) return preferred;
  const { machine, directories, observer } = app;
  const fallback = `${directories.data}/holdfast/backups`;
  if (!create)
    return (await hasRepository(app, preferred)) || !(await hasRepository(app, fallback))
      ? preferred
      : told();
  if (await hasRepository(app, preferred)) return preferred;
  const chosen = await chooseDefaultDirectory({ preferred, home: machine.home, dataHome: directories.data });
  if (chosen.fellBack !== undefined) {
    const { from, reason, mend } = chosen.fellBack;
    observer.notice({
      level: 'warning',
      message: `${from} cannot be used (${reason}); backups go to ${chosen.directory} instead`,
      hint: `to use ${from}: ${mend}; or choose a place with --repo`,
    });
  }
  return chosen.directory;

  function told(): string {
    observer.notice({
      level: 'warning',
      message: `there is no repository in ${preferred}; using the one in ${fallback}`,
    });
    return fallback;
  }
}

/** Before a place is proved writable by writing to it: a directory of other files must stay as it is. */
async function refuseForeignPlace(app: App, { createBucket }: PlaceOptions): Promise<void> {
  let storage: Storage;
  try {
    storage = await openStorage(app.config.repository, {
      ...storageOptions(app, app.config.repository),
      create: false,
    });
  } catch (error) {
    // Not there yet, or in a trouble that making it will meet and name as well.
    if (isFailure(error)) return;
    throw error;
  }
  try {
    if ((await readRepositoryInfo(storage)) !== null) return;
    for await (const { name } of storage.list('', { signal: app.signal })) {
      // A crashed init leaves keys, and nothing else.
      if (!name.startsWith(keysPrefix)) {
        throw failure('repository_foreign', { location: storage.location, example: name });
      }
    }
  } catch (error) {
    // The bucket is still to be made.
    if (createBucket !== true || !isFailure(error) || error.kind !== 'not_found') throw error;
  } finally {
    await storage.close();
  }
}

/** What every storage is opened with. */
function storageOptions({ machine: { cwd, home, clock }, config, env }: App, location: string) {
  return { cwd, home, clock, env, settings: storageSettingsOf(config, location) };
}

async function hasRepository(app: App, location: string): Promise<boolean> {
  try {
    const storage = await openStorage(location, { ...storageOptions(app, location), create: false });
    const info = await readRepositoryInfo(storage);
    await storage.close();
    return info !== null;
  } catch {
    // Whatever is wrong there will be told by whoever really uses it.
    return false;
  }
}

export interface OpenedRepository {
  readonly repository: Repository;
  /** What it was opened with; undefined without encryption. */
  readonly found: FoundPassphrase | undefined;
}

/** What a command does with the repository: only who adds can do with the credentials of an agent. */
export type Use = 'all' | 'add';

/** Opens the repository of the configuration, with whatever passphrase can be found; to add to it as an agent, too. */
export async function openConfiguredRepository(app: App, use: Use = 'all'): Promise<Repository> {
  return (await openAndTell(app, use)).repository;
}

/** The same, for those who need to know where the passphrase came from. */
export async function openAndTell(app: App, use: Use = 'all'): Promise<OpenedRepository> {
  return await openThere(app, use).catch((error: unknown) => {
    throw withoutConfiguration(app.settings, app.machine.cwd, error);
  });
}

async function openThere(app: App, use: Use): Promise<OpenedRepository> {
  const storage = await openPlace(app, { create: false });
  try {
    const agentFile = app.config.encryption.agent_file;
    if (agentFile !== undefined && use === 'add')
      return { repository: await openWithAgentFile(app, storage, agentFile), found: undefined };
    const info = await readRepositoryInfo(storage);
    if (info === null) throw failure('repository_missing', { location: storage.location });
    const found = await passphraseFor(app, info, storage.location);
    if (found !== undefined) app.secrets.push(found.secret);
    const passphrase = found?.secret ?? null;
    // By then: most of the program hangs on it, and some commands, called a thousand times, do without.
    const { openRepository } = await import('../repository/open.ts');
    const memory = await historyMemory(app, info.id, storage.location);
    return { repository: await openRepository(storage, { ...openOptions(app), passphrase, memory }), found };
  } catch (error) {
    await storage.close();
    throw error;
  }
}

async function openWithAgentFile(app: App, storage: Storage, path: string): Promise<Repository> {
  const credentials = await readAgentFile(path, storage.location);
  const { openAsAgent } = await import('../repository/agent/open.ts');
  const memory = await historyMemory(app, credentials.repository, storage.location);
  return await openAsAgent(storage, credentials, { ...openOptions(app), path, memory });
}

/** The passphrase to open that repository with. `agent_cannot`, `key_needed`, or `encryption_expected` when it needs none and should. */
export async function passphraseFor(
  app: App,
  info: RepositoryInfo,
  location: string,
): Promise<FoundPassphrase | undefined> {
  if (app.config.encryption.agent_file !== undefined)
    throw failure('agent_cannot', { what: 'read the repository' });
  if (info.encrypted) return await requirePassphrase(info.id, location, passphraseContext(app));
  const chosen = app.settings.origins.exact(['encryption', 'enabled']) !== undefined;
  const reason =
    chosen && app.config.encryption.enabled
      ? 'encryption.enabled is set'
      : await encryptionExpected(info.id, passphraseContext(app));
  if (reason !== undefined) throw failure('encryption_expected', { location, reason });
  return undefined;
}

/** What this machine remembers of the history of a repository in that place. */
export async function historyMemory(
  { directories, log }: App,
  repository: string,
  location: string,
): Promise<FileHistoryMemory> {
  return await FileHistoryMemory.open(directories.state, { repository, location }, log);
}

export function openOptions(app: App) {
  const { machine, log, directories, jobs } = app;
  return {
    cacheDirectory: directories.cache,
    clock: machine.clock,
    log,
    host: machine.host,
    user: machine.user,
    readJobs: jobs,
  };
}

export function passphraseContext(app: App): PassphraseContext {
  const { config, directories, machine, env, asker, signal } = app;
  return { config, directories, machine, env, asker, signal };
}

/** For messages: where the repository's location was named. */
export function repositoryOrigin(app: App): string {
  return describeOrigin(app.settings.origins.exact(['repository']) ?? { layer: 'default' });
}
