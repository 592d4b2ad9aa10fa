import { silentLogger } from '../kernel/log.ts';
import type { Storage } from '../storage/port.ts';
import { listManifests } from '../repository/manifests.ts';
import type { BackupName } from '../repository/model.ts';
import { readRepositoryInfo } from '../repository/info.ts';
import { openRepository } from '../repository/open.ts';
import { compressionOf, openOptions, openPlace, passphraseContext, type App } from './compose.ts';
import { chooseDirectories } from './directories.ts';
import type { Machine } from './machine.ts';
import type { Observer } from './observer.ts';
import { findPassphrase } from './passphrase.ts';
import { loadSettings } from './settings.ts';

export interface CompletionOptions {
  readonly config?: string | undefined;
  readonly repo?: string | undefined;
}

export interface KnownBackup {
  readonly id: string;
  readonly startedAt: string;
}

/** Source and kind of a backup. */
export interface BackupFacts {
  readonly source: string;
  readonly kind: string;
}

export interface KnownBackups {
  /** Newest first. */
  readonly backups: readonly KnownBackup[];
  /**
   * What the newest so many are of, by their ids, as far as it can be read until the signal comes. That needs the
   * passphrase: where none can be had without asking or running a command, nothing is known.
   */
  facts(newest: number, until: AbortSignal): Promise<ReadonlyMap<string, BackupFacts>>;
  close(): Promise<void>;
}

const nobody: Observer = {
  colour: false,
  notice: () => {},
  event: () => {},
  logLine: () => {},
  progress: () => ({
    phase: () => {},
    total: () => {},
    advance: () => {},
    stored: () => {},
    [Symbol.dispose]: () => {},
  }),
};

/** Names of the configured sources. Throws what is wrong with the configuration. */
export async function knownSources(options: CompletionOptions, machine: Machine): Promise<readonly string[]> {
  return Object.keys((await settingsOf(options, machine)).config.sources);
}

/**
 * The backups that there are, from their names alone: that needs no passphrase. Asks nobody, writes nothing, not even a
 * log, and runs no command of the configuration.
 */
export async function knownBackups(
  options: CompletionOptions,
  machine: Machine,
  signal: AbortSignal,
): Promise<KnownBackups> {
  const app = await quietApp(options, machine, signal);
  const storage = await openPlace(app, { create: false });
  try {
    const names = (await listManifests(storage, signal)).toReversed();
    return {
      backups: names.map(({ id, startedAtMs }) => ({ id, startedAt: new Date(startedAtMs).toISOString() })),
      facts: (newest, until) => factsOf(app, storage, names.slice(0, newest), until),
      close: () => storage.close(),
    };
  } catch (error) {
    await storage.close();
    throw error;
  }
}

/** With what came until the signal: nothing of it is awaited any longer. */
async function factsOf(
  app: App,
  storage: Storage,
  names: readonly BackupName[],
  until: AbortSignal,
): Promise<ReadonlyMap<string, BackupFacts>> {
  const facts = new Map<string, BackupFacts>();
  if (names.length === 0) return facts;
  const read = async (): Promise<void> => {
    const info = await readRepositoryInfo(storage);
    const found = info?.encrypted === true ? await quietPassphrase(app, info.id) : undefined;
    const repository = await openRepository(storage, { ...openOptions(app), passphrase: found ?? null });
    for (const name of names) {
      until.throwIfAborted();
      const { source } = await repository.manifest(name, { signal: until });
      facts.set(name.id, { source: source.name, kind: source.kind });
    }
  };
  const late = new Promise<void>((resolve) => until.addEventListener('abort', () => resolve()));
  // Whatever is amiss, the names are known.
  await Promise.race([read().catch(() => {}), late]);
  return new Map(facts);
}

async function quietPassphrase(app: App, repositoryId: string) {
  const { passphrase_command: command } = app.config.encryption;
  if (command !== undefined) return undefined;
  return (await findPassphrase(repositoryId, '', passphraseContext(app)))?.secret;
}

async function quietApp(options: CompletionOptions, machine: Machine, signal: AbortSignal): Promise<App> {
  const settings = await settingsOf(options, machine);
  const { config, env } = settings;
  return {
    machine,
    observer: nobody,
    asker: null,
    signal,
    argv: [],
    settings,
    config,
    env,
    directories: chooseDirectories(config, { env, home: machine.home }),
    log: silentLogger,
    secrets: [],
    storages: [],
    jobs: 1,
    compression: compressionOf(config),
  };
}

async function settingsOf({ config, repo }: CompletionOptions, machine: Machine) {
  const flags = repo === undefined ? [] : [{ path: ['repository'], value: repo, flag: '--repo' }];
  return await loadSettings({ configFile: config, flags }, machine);
}
