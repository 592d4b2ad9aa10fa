import type { Config } from '../contract/config.ts';
import { failure } from '../kernel/errors/failure.ts';
import type { Secret } from '../kernel/secret.ts';
import type { Directories } from './directories.ts';
import { keyFilePath, readKeyFile, unsafeReason } from './key-file.ts';
import type { Machine } from './machine.ts';
import type { Asker } from './observer.ts';
import { passphraseFromCommand } from './passphrase-command.ts';
import { readSecretFile } from './secret-file.ts';

/** Where a passphrase came from: for messages and the recovery kit. */
export type PassphraseSource = 'configuration' | 'file' | 'command' | 'key file' | 'terminal';

export interface FoundPassphrase {
  readonly secret: Secret;
  readonly source: PassphraseSource;
  /** The file or command it came from. */
  readonly detail?: string;
}

export interface PassphraseContext {
  readonly config: Config;
  readonly directories: Pick<Directories, 'keys'>;
  readonly machine: Pick<Machine, 'cwd' | 'uid'>;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly asker: Asker | null;
  readonly signal: AbortSignal;
}

/** The passphrase the configuration or the environment gives; undefined when they give none. */
export async function configuredPassphrase(context: PassphraseContext): Promise<FoundPassphrase | undefined> {
  const { passphrase, passphrase_file: file, passphrase_command: command } = context.config.encryption;
  if (passphrase !== undefined) return { secret: passphrase, source: 'configuration' };
  if (file !== undefined) {
    return { secret: await readSecretFile(file, 'encryption.passphrase_file'), source: 'file', detail: file };
  }
  if (command === undefined) return undefined;
  const { env, signal, machine } = context;
  const secret = await passphraseFromCommand(command, { env, signal, cwd: machine.cwd });
  return { secret, source: 'command', detail: command };
}

/**
 * The passphrase to open a repository with: the configuration's, else the key file that init made, else typed on a
 * terminal. Undefined when there is none of them.
 */
export async function findPassphrase(
  repositoryId: string,
  location: string,
  context: PassphraseContext,
): Promise<FoundPassphrase | undefined> {
  const configured = await configuredPassphrase(context);
  if (configured !== undefined) return configured;
  const path = keyFilePath(context.directories.keys, repositoryId);
  const kept = await readKeyFile(path, context.machine.uid);
  if (kept !== undefined) return { secret: kept, source: 'key file', detail: path };
  if (context.asker === null) return undefined;
  return { secret: await context.asker.secret(`Passphrase of ${location}`), source: 'terminal' };
}

/** The same; throws `key_needed` when there is none of them. */
export async function requirePassphrase(
  repositoryId: string,
  location: string,
  context: PassphraseContext,
): Promise<FoundPassphrase> {
  const found = await findPassphrase(repositoryId, location, context);
  if (found !== undefined) return found;
  const looked = `, nor is there a key file ${keyFilePath(context.directories.keys, repositoryId)}`;
  const elsewhere =
    '; when init made a key file, it may have been run by another user or with another HOME: run this as that user, or name the file with HOLDFAST_PASSPHRASE_FILE';
  throw failure('key_needed', { location, looked, elsewhere });
}

/** Why a repository that is not encrypted should be; undefined when nothing says so. */
export async function encryptionExpected(
  repositoryId: string,
  { config, directories, machine }: Pick<PassphraseContext, 'config' | 'directories' | 'machine'>,
): Promise<string | undefined> {
  if (!config.encryption.enabled) return undefined;
  const { passphrase, passphrase_file: file, passphrase_command: command } = config.encryption;
  if (passphrase !== undefined) return 'a passphrase is set';
  if (file !== undefined) return 'passphrase_file is set';
  if (command !== undefined) return 'passphrase_command is set';
  const path = keyFilePath(directories.keys, repositoryId);
  return (await unsafeReason(path, machine.uid)) === 'missing' ? undefined : `there is a key for it: ${path}`;
}

/** How backups that nobody attends get in where so far only a typed passphrase does. */
export const unattendedHint =
  'give those a key of their own: (umask 077; openssl rand -base64 32 > backup.key), holdfast key add --new-passphrase-file backup.key, and name that file in encryption.passphrase_file or HOLDFAST_PASSPHRASE_FILE';

/** A new passphrase typed twice; undefined for an empty answer. Throws `passphrase_mismatch`. */
export async function askNewPassphrase(asker: Asker, question: string): Promise<FoundPassphrase | undefined> {
  const first = await asker.secret(question);
  if (first.reveal() === '') return undefined;
  const second = await asker.secret('The same again');
  if (first.reveal() !== second.reveal()) throw failure('passphrase_mismatch', {});
  return { secret: first, source: 'terminal' };
}
