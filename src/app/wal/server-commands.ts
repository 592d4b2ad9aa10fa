import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { App } from '../compose.ts';
import type { FoundPassphrase } from '../passphrase.ts';

/** What other programs define and the libraries of storages read, by the scheme of the location. */
const credentials: readonly (readonly [scheme: RegExp, variable: RegExp])[] = [
  [/^s3:/, /^(?:AWS_|HOLDFAST_S3_)/],
  [/^azure:/, /^(?:AZURE_STORAGE_|HOLDFAST_AZURE_)/],
  [/^(?:gs|gdrive):/, /^(?:GOOGLE_APPLICATION_CREDENTIALS$|HOLDFAST_G(?:S|DRIVE)_)/],
  [/^sftp:/, /^(?:SSH_AUTH_SOCK$|HOLDFAST_SFTP_)/],
];

/** What PostgreSQL is to run, as its settings hold it, and what that needs. */
export interface ServerCommands {
  /** `archive_command` */
  readonly push: string;
  /** `restore_command` */
  readonly get: string;
  /** Of the repository. */
  readonly location: string;
  /** What the server's user or environment must have for the passphrase; null when nothing. */
  readonly needs: string | null;
  /** Variables that the server's environment must have to reach the repository; null when none. */
  readonly variables: string | null;
}

/**
 * The commands for a server of this machine: by absolute paths, for a server has another current directory and hardly any
 * search path. Secrets are not written into them; the names of files with secrets are.
 */
export function serverCommands(
  app: Pick<App, 'settings'> & { readonly machine: Pick<App['machine'], 'env'> },
  source: string,
  location: string,
  found: FoundPassphrase | undefined,
): ServerCommands {
  const file = passphraseFile(found);
  const environment = file === undefined ? [] : [`HOLDFAST_PASSPHRASE_FILE=${inShell(file)}`];
  const { file: config } = app.settings;
  const flags = ['--source', inShell(source), '--repo', inShell(location)];
  if (config !== null) flags.push('--config', inShell(config));
  const command = (verb: string): string =>
    [...environment, program(), 'wal', verb, ...flags, '--quiet'].join(' ');
  return {
    push: command('push %p'),
    get: command('get %f %p'),
    location,
    needs: needsOf(found),
    variables: variablesNeeded(location, app.machine.env),
  };
}

/** Whether a variable tells how to reach a place of that kind. */
function isForStorage(name: string, location: string): boolean {
  return credentials.some(([scheme, variable]) => scheme.test(location) && variable.test(name));
}

/** What only the environment of who runs this has: a server has another one. */
function variablesNeeded(location: string, env: NodeJS.ProcessEnv): string | null {
  const names = Object.keys(env).filter((name) => isForStorage(name, location) && env[name] !== '');
  if (names.length === 0) return null;
  const those = names.toSorted((a, b) => (a < b ? -1 : 1)).join(', ');
  return `${those} must be set in the environment of the server as here, or stand in the configuration or in the .env beside it`;
}

/** Settings that name a file of their own have it in the configuration already. */
function passphraseFile(found: FoundPassphrase | undefined): string | undefined {
  return found?.source === 'key file' || found?.source === 'file' ? found.detail : undefined;
}

function needsOf(found: FoundPassphrase | undefined): string | null {
  if (found === undefined || found.source === 'command') return null;
  if (found.source === 'key file' || found.source === 'file')
    return `the server's user must be able to read ${found.detail ?? 'the file with the passphrase'}`;
  return 'HOLDFAST_PASSPHRASE must be set in the environment of the server, or a file with the passphrase named by encryption.passphrase_file';
}

function program(): string {
  // At the same distance from the sources and from what is published.
  const launcher = join(import.meta.dirname, '..', '..', '..', 'bin', 'holdfast');
  return existsSync(launcher) ? inShell(launcher) : 'holdfast';
}

/** One word of a shell, in a setting of PostgreSQL that replaces `%` and a letter. */
export function inShell(text: string): string {
  const word = /^[A-Za-z0-9_./:=@-]+$/.test(text) ? text : `'${text.replaceAll("'", String.raw`'\''`)}'`;
  return word.replaceAll('%', '%%');
}
