import { failure } from '../kernel/errors/failure.ts';
import { createRepository } from '../repository/create.ts';
import { openRepository, readRepositoryInfo } from '../repository/open.ts';
import type { RepositoryInfo } from '../repository/model.ts';
import type { Storage } from '../storage/port.ts';
import {
  openOptions,
  openPlace,
  passphraseContext,
  withApp,
  type App,
  type AppContext,
  type CommonOptions,
  type Outcome,
} from './compose.ts';
import { createPendingKeyFile, type PendingKeyFile } from './key-file.ts';
import {
  askNewPassphrase,
  configuredPassphrase,
  findPassphrase,
  type FoundPassphrase,
} from './passphrase.ts';
import { writeRecoveryKit } from './recovery-kit.ts';

export interface InitOptions extends CommonOptions {
  /** `--no-encryption`. */
  readonly encryption?: boolean | undefined;
  /** Where the recovery kit goes; the current directory unless given. */
  readonly recoveryKit?: string | undefined;
  readonly label?: string | undefined;
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
  /** Where the recovery kit was written; null when the repository was there already. */
  readonly recovery_kit: string | null;
}

/** Creates the repository, or confirms that it is there and opens with the passphrase at hand. */
export async function init(options: InitOptions, context: AppContext): Promise<InitResult> {
  return withApp(
    options,
    context,
    { name: 'init', touched: ({ repository }) => [repository.id] },
    async (app) => {
      const encrypt = options.encryption !== false && app.config.encryption.enabled;
      const storage = await openPlace(app, { create: true });
      try {
        const info = await readRepositoryInfo(storage);
        if (info === null) return await create(app, storage, encrypt, options);
        // Only a choice somebody made contradicts what is there.
        const chosen = !encrypt || app.settings.origins.exact(['encryption', 'enabled']) !== undefined;
        if (chosen && info.encrypted !== encrypt) {
          const state = info.encrypted ? 'is encrypted' : 'is not encrypted';
          throw failure('encryption_mismatch', { location: storage.location, state });
        }
        return await confirm(app, storage, info);
      } finally {
        await storage.close();
      }
    },
  );
}

async function create(
  app: App,
  storage: Storage,
  encrypt: boolean,
  options: InitOptions,
): Promise<InitResult> {
  const { machine, observer } = app;
  const pending: { file?: PendingKeyFile } = {};
  try {
    const found = encrypt ? await newPassphrase(app, storage.location, pending) : undefined;
    app.signal.throwIfAborted();
    const label = options.label ?? `${machine.user}@${machine.host}`;
    const { info } = await createRepository(storage, {
      key: found === undefined ? null : { passphrase: found.secret, label },
      clock: machine.clock,
      host: machine.host,
      user: machine.user,
    });
    const keyFile = pending.file === undefined ? null : await pending.file.keep(info.id);
    delete pending.file;
    if (keyFile !== null) {
      observer.notice({
        level: 'warning',
        message: `no passphrase was given, so a random key was made and kept in ${keyFile}`,
        hint: 'copy this file to another, safe place now: without it nobody can ever read the backups',
      });
    } else if (found === undefined) {
      observer.notice({
        level: 'warning',
        message: 'the repository is not encrypted: whoever can read the place can read the backups',
      });
    }
    const facts = {
      info,
      location: storage.location,
      source: found?.source ?? null,
      keyFile,
      detail: found?.detail ?? null,
    };
    const kit = await writeRecoveryKit(app, facts, options.recoveryKit);
    return describe(storage, info, {
      created: true,
      passphrase: found?.source ?? (keyFile === null ? null : 'key file'),
      keyFile,
      kit,
    });
  } finally {
    await pending.file?.discard();
  }
}

async function newPassphrase(
  app: App,
  location: string,
  pending: { file?: PendingKeyFile },
): Promise<FoundPassphrase> {
  const configured = await configuredPassphrase(passphraseContext(app));
  if (configured !== undefined) return configured;
  if (app.asker !== null) return askNewPassphrase(app.asker, location);
  pending.file = await createPendingKeyFile(app.directories.keys);
  return { secret: pending.file.secret, source: 'key file' };
}

async function confirm(app: App, storage: Storage, info: RepositoryInfo): Promise<InitResult> {
  const found = info.encrypted
    ? await findPassphrase(info.id, storage.location, passphraseContext(app))
    : undefined;
  await using repository = await openRepository(storage, {
    ...openOptions(app),
    passphrase: found?.secret ?? null,
  });
  const keyFile = found?.source === 'key file' ? (found.detail ?? null) : null;
  return describe(storage, repository.info, {
    created: false,
    passphrase: found?.source ?? null,
    keyFile,
    kit: null,
  });
}

function describe(
  storage: Storage,
  info: RepositoryInfo,
  more: { created: boolean; passphrase: string | null; keyFile: string | null; kit: string | null },
): InitResult {
  return {
    schema: 1,
    ok: true,
    created: more.created,
    repository: { id: info.id, location: storage.location, format: info.format, encrypted: info.encrypted },
    passphrase: more.passphrase,
    key_file: more.keyFile,
    recovery_kit: more.kit,
  };
}
