import { failure, isFailure } from '../kernel/errors/failure.ts';
import { Secret } from '../kernel/secret.ts';
import { unlock } from '../repository/keyring.ts';
import type { Repository } from '../repository/repository.ts';
import type { KeyInfo } from '../repository/model.ts';
import {
  openAndTell,
  withApp,
  type App,
  type AppContext,
  type CommonOptions,
  type OpenedRepository,
  type Outcome,
} from './compose.ts';
import { keyFilePath, readKeyFile, refuseUnfit, replaceKeyFile, retireKeyFile } from './key-file.ts';
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

export interface RemoveKeyOptions extends CommonOptions {
  readonly id: string;
  /** Answer yes where a question would be asked. */
  readonly yes?: boolean | undefined;
}

export async function listKeys(options: CommonOptions, context: AppContext): Promise<KeysResult> {
  return withRepository(options, context, null, async (_app, { repository }) => view(repository));
}

export async function addKey(options: NewKeyOptions, context: AppContext): Promise<KeysResult> {
  return withRepository(options, context, 'key add', async (app, { repository }) => {
    const passphrase = await newPassphrase(app, repository, options);
    const key = await repository.keys.add({ passphrase, label: labelOf(app, options) });
    return view(repository, key);
  });
}

/**
 * The passphrase this command opened the repository with stops to open it, the new one takes its place: in the key
 * file, too, if that is where it came from, for backups that nobody attends read it there.
 */
export async function changeKey(options: NewKeyOptions, context: AppContext): Promise<KeysResult> {
  return withRepository(options, context, 'key change', async (app, { repository, found }) => {
    const passphrase = await newPassphrase(app, repository, options);
    const keyFile = found?.source === 'key file' ? found.detail : undefined;
    if (keyFile !== undefined) refuseUnfit(passphrase);
    const key = await repository.keys.change({ passphrase, label: labelOf(app, options) }, async () => {
      if (keyFile !== undefined) await changeKeyFile(app, keyFile, passphrase);
    });
    await retireStaleKeyFile(app, repository);
    return view(repository, key);
  });
}

export async function removeKey(options: RemoveKeyOptions, context: AppContext): Promise<KeysResult> {
  return withRepository(options, context, 'key remove', async (app, { repository }) => {
    const keys = await repository.keys.list();
    const matching = keys.filter(({ id }) => id.startsWith(options.id));
    const [key] = matching;
    if (key === undefined || matching.length > 1) throw failure('key_unknown', { id: options.id });
    if (key.current && keys.length > 1 && options.yes !== true) await confirmRemoval(app, key);
    await repository.keys.remove(key.id);
    await retireStaleKeyFile(app, repository);
    return view(repository, { id: key.id });
  });
}

async function withRepository(
  options: CommonOptions,
  context: AppContext,
  name: string | null,
  work: (app: App, opened: OpenedRepository) => Promise<KeysResult>,
): Promise<KeysResult> {
  return withApp(
    options,
    context,
    name === null ? null : { name, touched: ({ key }) => (key === undefined ? [] : [key.id]) },
    async (app) => {
      const opened = await openAndTell(app);
      await using _repository = opened.repository;
      return await work(app, opened);
    },
  );
}

async function confirmRemoval(app: App, { id }: KeyInfo): Promise<void> {
  if (app.asker === null) return;
  const question = `Key ${id} is the one this command opened the repository with. Remove it?`;
  if (!(await app.asker.confirm(question))) throw failure('declined', { what: `key ${id} was not removed` });
}

/** One that does not open the repository yet. */
async function newPassphrase(app: App, repository: Repository, options: NewKeyOptions): Promise<Secret> {
  const secret = await givenPassphrase(app, options);
  app.secrets.push(secret);
  if ((await tryPassphrase(app, repository, secret)) === 'opens')
    throw failure('key_duplicate', { location: repository.storage.location });
  return secret;
}

async function givenPassphrase(app: App, { newPassphraseFile }: NewKeyOptions): Promise<Secret> {
  if (newPassphraseFile !== undefined) return readSecretFile(newPassphraseFile, '--new-passphrase-file');
  const given = app.env['HOLDFAST_NEW_PASSPHRASE'];
  if (given === '') throw failure('passphrase_empty', {});
  if (given !== undefined) return new Secret(given);
  if (app.asker !== null) {
    const typed = await askNewPassphrase(app.asker, 'New passphrase for the new key');
    if (typed === undefined) throw failure('passphrase_empty', {});
    return typed.secret;
  }
  const flag = '--new-passphrase-file FILE, or set HOLDFAST_NEW_PASSPHRASE';
  throw failure('needs_answer', { question: 'the new passphrase', flag });
}

function labelOf(app: App, { label }: NewKeyOptions): string {
  return label ?? `${app.machine.user}@${app.machine.host}`;
}

async function changeKeyFile(app: App, path: string, passphrase: Secret): Promise<void> {
  const retired = await replaceKeyFile(path, passphrase, app.machine.clock.now());
  app.observer.notice({
    level: 'warning',
    message: `the key file ${path} holds the new passphrase now; the old one is kept as ${retired}`,
    hint: `copy the new file to another, safe place now; copies of the repository made before still open with the old one (HOLDFAST_PASSPHRASE_FILE=${retired})`,
  });
}

/**
 * A key file whose key is gone would only be taken for one that opens the repository. It is set aside, for a copy of
 * the repository made earlier still opens with it.
 */
async function retireStaleKeyFile(app: App, repository: Repository): Promise<void> {
  const path = keyFilePath(app.directories.keys, repository.info.id);
  const secret = await readKeyFile(path, app.machine.uid);
  if (secret === undefined || (await tryPassphrase(app, repository, secret)) !== 'wrong') return;
  const retired = await retireKeyFile(path, app.machine.clock.now());
  app.observer.notice({
    level: 'warning',
    message: `the key file ${path} does not open this repository any more and is now ${retired}; whatever relied on it, such as backups from cron, fails from now on`,
    hint: `let encryption.passphrase_file name a file with a passphrase of another key, or put such a file (mode 0600) at ${path}; a copy of the repository made before still opens with HOLDFAST_PASSPHRASE_FILE=${retired}`,
  });
}

/** `unknown`: a damaged key object may be the one it opens. */
async function tryPassphrase(
  app: App,
  repository: Repository,
  secret: Secret,
): Promise<'opens' | 'wrong' | 'unknown'> {
  try {
    await unlock(repository.storage, repository.info.id, secret, app.log);
    return 'opens';
  } catch (error) {
    return isFailure(error, 'key_wrong') ? 'wrong' : 'unknown';
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
