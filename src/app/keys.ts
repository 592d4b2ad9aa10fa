import { failure, isFailure } from '../kernel/errors/failure.ts';
import { Secret } from '../kernel/secret.ts';
import { unlock } from '../repository/keyring.ts';
import type { Repository } from '../repository/repository.ts';
import type { KeyInfo } from '../repository/model.ts';
import {
  openConfiguredRepository,
  withApp,
  type App,
  type AppContext,
  type CommonOptions,
  type Outcome,
} from './compose.ts';
import { keyFilePath, readKeyFile, retireKeyFile } from './key-file.ts';
import { askNewPassphrase } from './passphrase.ts';
import { readSecretFile } from './secret-file.ts';

export interface KeyView {
  readonly id: string;
  readonly label: string;
  readonly created_at: string;
  readonly host: string;
  readonly user: string;
  readonly current: boolean;
}

export interface KeysResult extends Outcome {
  readonly repository: { readonly id: string; readonly location: string };
  readonly keys: readonly KeyView[];
  /** The key that was added or removed. */
  readonly key?: KeyView | { readonly id: string } | undefined;
}

export interface NewKeyOptions extends CommonOptions {
  readonly label?: string | undefined;
  /** File whose first line is the new passphrase. */
  readonly newPassphraseFile?: string | undefined;
}

export async function listKeys(options: CommonOptions, context: AppContext): Promise<KeysResult> {
  return withRepository(options, context, null, async (_app, repository) => view(repository));
}

export async function addKey(options: NewKeyOptions, context: AppContext): Promise<KeysResult> {
  return withRepository(options, context, 'key add', async (app, repository) => {
    const key = await repository.keys.add({
      passphrase: await newPassphrase(app, options),
      label: labelOf(app, options),
    });
    return view(repository, key);
  });
}

/** The passphrase this command opened the repository with stops to open it, the new one takes its place. */
export async function changeKey(options: NewKeyOptions, context: AppContext): Promise<KeysResult> {
  return withRepository(options, context, 'key change', async (app, repository) => {
    const passphrase = await newPassphrase(app, options);
    const key = await repository.keys.change({ passphrase, label: labelOf(app, options) });
    await retireStaleKeyFile(app, repository);
    return view(repository, key);
  });
}

export async function removeKey(
  options: CommonOptions & { readonly id: string },
  context: AppContext,
): Promise<KeysResult> {
  return withRepository(options, context, 'key remove', async (app, repository) => {
    const keys = await repository.keys.list();
    const matching = keys.filter(({ id }) => id.startsWith(options.id));
    const [key] = matching;
    if (key === undefined || matching.length > 1) throw failure('key_unknown', { id: options.id });
    await repository.keys.remove(key.id);
    await retireStaleKeyFile(app, repository);
    return view(repository, { id: key.id });
  });
}

async function withRepository(
  options: CommonOptions,
  context: AppContext,
  name: string | null,
  work: (app: App, repository: Repository) => Promise<KeysResult>,
): Promise<KeysResult> {
  return withApp(
    options,
    context,
    name === null ? null : { name, touched: ({ key }) => (key === undefined ? [] : [key.id]) },
    async (app) => {
      await using repository = await openConfiguredRepository(app);
      return await work(app, repository);
    },
  );
}

async function newPassphrase(app: App, { newPassphraseFile }: NewKeyOptions): Promise<Secret> {
  if (newPassphraseFile !== undefined) return readSecretFile(newPassphraseFile, '--new-passphrase-file');
  const given = app.env['HOLDFAST_NEW_PASSPHRASE'];
  if (given === '') throw failure('passphrase_empty', {});
  if (given !== undefined) return new Secret(given);
  if (app.asker !== null) return (await askNewPassphrase(app.asker, 'the new key')).secret;
  const flag = '--new-passphrase-file FILE, or set HOLDFAST_NEW_PASSPHRASE';
  throw failure('needs_answer', { question: 'the new passphrase', flag });
}

function labelOf(app: App, { label }: NewKeyOptions): string {
  return label ?? `${app.machine.user}@${app.machine.host}`;
}

/**
 * A key file whose key is gone would only be taken for one that opens the repository. It is set aside, for a copy of
 * the repository made earlier still opens with it.
 */
async function retireStaleKeyFile(app: App, repository: Repository): Promise<void> {
  const path = keyFilePath(app.directories.keys, repository.info.id);
  const secret = await readKeyFile(path, app.machine.uid);
  if (secret === undefined || (await opens(app, repository, secret))) return;
  const retired = await retireKeyFile(path, app.machine.clock.now());
  app.observer.notice({
    level: 'warning',
    message: `the key file ${path} does not open this repository any more and is now ${retired}`,
    hint: `a copy of the repository made before still opens with it (HOLDFAST_PASSPHRASE_FILE=${retired}); this one with the new passphrase`,
  });
}

async function opens(app: App, repository: Repository, secret: Secret): Promise<boolean> {
  try {
    await unlock(repository.storage, repository.info.id, secret, app.log);
    return true;
  } catch (error) {
    // Only a clear no counts: a damaged key object may be the one this file opens.
    return !isFailure(error, 'key_wrong');
  }
}

async function view(repository: Repository, key?: KeyInfo | { readonly id: string }): Promise<KeysResult> {
  const keys = await repository.keys.list();
  return {
    schema: 1,
    ok: true,
    repository: { id: repository.info.id, location: repository.storage.location },
    keys: keys.map(keyView),
    ...(key === undefined ? {} : { key: 'createdAt' in key ? keyView(key) : key }),
  };
}

function keyView({ id, label, createdAt, host, user, current }: KeyInfo): KeyView {
  return { id, label, created_at: createdAt, host, user, current };
}
