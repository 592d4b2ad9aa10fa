import { rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import { failure } from '../kernel/errors/failure.ts';
import { newRepositoryId, type RepositoryId } from '../kernel/ids.ts';
import { createRepository } from '../repository/create.ts';
import { readRepositoryInfo } from '../repository/info.ts';
import { openRepository } from '../repository/open.ts';
import type { RepositoryInfo } from '../repository/model.ts';
import type { Storage } from '../storage/port.ts';
import {
  openOptions,
  openPlace,
  passphraseContext,
  passphraseFor,
  withApp,
  type App,
  type AppContext,
  type CommonOptions,
  type Outcome,
} from './compose.ts';
import { directoriesToMake, removeEmpty } from './init-place.ts';
import { createKeyFile, keyFilePath } from './key-file.ts';
import {
  askNewPassphrase,
  configuredPassphrase,
  unattendedHint,
  type FoundPassphrase,
} from './passphrase.ts';
import { copyPlaces } from './places.ts';
import { reachOf } from './reach.ts';
import { writeRecoveryKit } from './recovery-kit.ts';

export interface InitOptions extends CommonOptions {
  /** `--no-encryption`. */
  readonly encryption?: boolean | undefined;
  /** Where the recovery kit goes; the current directory unless given. Given, it is written for one that is there, too. */
  readonly recoveryKit?: string | undefined;
  readonly label?: string | undefined;
  /** Make the bucket of the repository, too, and set it up. */
  readonly createBucket?: boolean | undefined;
}

export interface InitResult extends Outcome {
  /** False when it was there already and opens with the passphrase at hand. */
  readonly created: boolean;
  readonly repository: {
    readonly id: string;
    readonly location: string;
    readonly format: number;
    readonly encrypted: boolean;
  };
  /** Where the passphrase came from; null without encryption. */
  readonly passphrase: string | null;
  /** The key file that was made or used. */
  readonly key_file: string | null;
  /** Where the recovery kit was written; null when the repository was there already and none was asked for. */
  readonly recovery_kit: string | null;
}

/** Creates the repository, or confirms that it is there and opens with the passphrase at hand. */
export async function init(options: InitOptions, context: AppContext): Promise<InitResult> {
  return withApp(
    options,
    context,
    { name: 'init', touched: ({ repository }) => [repository.id] },
    async (app) => {
      refuseUnusedPassphrase(app, options);
      const encrypt = options.encryption !== false && app.config.encryption.enabled;
      const toMake = await directoriesToMake(app);
      try {
        return await initThere(app, encrypt, options);
      } catch (error) {
        await removeEmpty(toMake);
        throw error;
      }
    },
  );
}

async function initThere(app: App, encrypt: boolean, options: InitOptions): Promise<InitResult> {
  const storage = await openPlace(app, { create: true, createBucket: options.createBucket });
  try {
    const info = await readRepositoryInfo(storage);
    if (info === null) return await createIn(app, storage, encrypt, options);
    // Only a choice somebody made contradicts what is there.
    const chosen = !encrypt || app.settings.origins.exact(['encryption', 'enabled']) !== undefined;
    if (chosen && info.encrypted !== encrypt) {
      const state = info.encrypted ? 'is encrypted' : 'is not encrypted';
      throw failure('encryption_mismatch', { location: storage.location, state });
    }
    return await confirm(app, storage, info, options);
  } finally {
    await storage.close();
  }
}

/** Every later command would take the repository for one that somebody has put in the place of the right one. */
function refuseUnusedPassphrase({ config }: App, options: InitOptions): void {
  const { enabled, passphrase, passphrase_file: file, passphrase_command: command } = config.encryption;
  const given = [passphrase, file, command].some((value) => value !== undefined);
  if (options.encryption !== false || !enabled || !given) return;
  throw failure('usage', {
    reason: '--no-encryption is given, and a passphrase is set',
    suggestion: 'unset HOLDFAST_PASSPHRASE (or what else sets it), or leave --no-encryption out',
  });
}

/** Makes a repository in an open, empty place. */
export async function createIn(
  app: App,
  storage: Storage,
  encrypt: boolean,
  options: InitOptions,
): Promise<InitResult> {
  const { clock, host, user } = app.machine;
  const id = newRepositoryId();
  const found = encrypt ? await newPassphrase(app, storage.location, id) : undefined;
  const label = options.label ?? `${user}@${host}`;
  let info: RepositoryInfo;
  try {
    app.signal.throwIfAborted();
    const key =
      found === undefined ? null : { passphrase: found.secret, label, isRandom: found.source === 'key file' };
    ({ info } = await createRepository(storage, { id, key, clock, host, user }));
  } catch (error) {
    if (found?.source === 'key file') await dropUnlessNeeded(app, storage, id);
    throw error;
  }
  tellOfKey(app, found);
  return await resultOf(app, storage, info, found, options, true);
}

/** A key file whose repository surely was not made would only be taken for one that opens something. */
async function dropUnlessNeeded(app: App, storage: Storage, id: RepositoryId): Promise<void> {
  try {
    const info = await readRepositoryInfo(storage);
    if (info?.id !== id) await rm(keyFilePath(app.directories.keys, id));
  } catch {
    // Nobody knows whether the repository was made. A key too many does no harm.
  }
}

function tellOfKey({ observer }: App, found: FoundPassphrase | undefined): void {
  if (found === undefined) {
    const message = 'the repository is not encrypted: whoever can read the place can read the backups';
    observer.notice({ level: 'warning', message });
  } else if (found.source === 'key file') {
    observer.notice({
      level: 'warning',
      message: `no passphrase was given, so a random key was made and kept in ${found.detail ?? ''}`,
      hint: 'copy this file to another, safe place now: without it nobody can ever read the backups',
    });
  } else if (found.source === 'terminal') {
    observer.notice({
      level: 'warning',
      message:
        'only the passphrase you typed opens this repository, so nothing that runs unattended (cron, systemd) can use it yet',
      hint: unattendedHint,
    });
  }
}

async function newPassphrase(app: App, location: string, id: RepositoryId): Promise<FoundPassphrase> {
  const configured = await configuredPassphrase(passphraseContext(app));
  if (configured !== undefined) return configured;
  const path = keyFilePath(app.directories.keys, id);
  if (app.asker !== null) {
    const ifEmpty = `empty: a random key, kept in a file in ${dirname(path)}, which cron can use`;
    const typed = await askNewPassphrase(app.asker, `New passphrase for ${location} (${ifEmpty})`);
    if (typed !== undefined) return typed;
  }
  // Under its final name before there is a repository: no crash may leave one whose key nobody finds.
  return { secret: await createKeyFile(path), source: 'key file', detail: path };
}

async function confirm(
  app: App,
  storage: Storage,
  info: RepositoryInfo,
  options: InitOptions,
): Promise<InitResult> {
  const found = options.encryption === false ? undefined : await passphraseFor(app, info, storage.location);
  const passphrase = found?.secret ?? null;
  await using repository = await openRepository(storage, { ...openOptions(app), passphrase });
  return await resultOf(app, storage, repository.info, found, options, false);
}

async function resultOf(
  app: App,
  storage: Storage,
  info: RepositoryInfo,
  found: FoundPassphrase | undefined,
  options: InitOptions,
  created: boolean,
): Promise<InitResult> {
  const { location } = storage;
  const kitWanted = created || options.recoveryKit !== undefined;
  return {
    schema: 1,
    ok: true,
    created,
    repository: { id: info.id, location, format: info.format, encrypted: info.encrypted },
    passphrase: found?.source ?? null,
    key_file: found?.source === 'key file' ? (found.detail ?? null) : null,
    recovery_kit: kitWanted
      ? await writeRecoveryKit(
          app,
          {
            info,
            location,
            found,
            sources: app.config.sources,
            reach: reachOf(app, location),
            copies: copyPlaces(app).map((place) => place.location),
          },
          options.recoveryKit,
        )
      : null,
  };
}
