import { silentLogger } from '../kernel/log.ts';
import { listManifests } from '../repository/manifests.ts';
import { compressionOf, openPlace, type App } from './compose.ts';
import { chooseDirectories } from './directories.ts';
import type { Machine } from './machine.ts';
import type { Observer } from './observer.ts';
import { loadSettings } from './settings.ts';

export interface CompletionOptions {
  readonly config?: string | undefined;
  readonly repo?: string | undefined;
}

export interface KnownBackup {
  readonly id: string;
  readonly startedAt: string;
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
 * The backups that there are, newest first, from their names alone: that needs no passphrase. Asks nobody, writes
 * nothing, not even a log, and runs no command of the configuration.
 */
export async function knownBackups(
  options: CompletionOptions,
  machine: Machine,
  signal: AbortSignal,
): Promise<readonly KnownBackup[]> {
  const settings = await settingsOf(options, machine);
  const { config, env } = settings;
  const app: App = {
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
    jobs: 1,
    compression: compressionOf(config),
  };
  const storage = await openPlace(app, { create: false });
  try {
    const names = await listManifests(storage, signal);
    return names
      .toReversed()
      .map(({ id, startedAtMs }) => ({ id, startedAt: new Date(startedAtMs).toISOString() }));
  } finally {
    await storage.close();
  }
}

async function settingsOf({ config, repo }: CompletionOptions, machine: Machine) {
  const flags = repo === undefined ? [] : [{ path: ['repository'], value: repo, flag: '--repo' }];
  return await loadSettings({ configFile: config, flags }, machine);
}
