import { spawn } from 'node:child_process';
import { failure } from '../kernel/errors/failure.ts';
import { Secret } from '../kernel/secret.ts';
import { firstLine } from './secret-file.ts';

const limitBytes = 65_536;
/** Long enough for somebody to touch a hardware key. */
export const passphraseCommandSeconds = 60;

export interface PassphraseCommandOptions {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly cwd: string;
  readonly signal: AbortSignal;
  readonly seconds?: number;
}

/**
 * Runs a command through the shell and takes the first line of its output. Its messages go to our standard error,
 * its output nowhere. Throws `passphrase_command_failed`, or the signal's reason.
 */
export async function passphraseFromCommand(
  command: string,
  options: PassphraseCommandOptions,
): Promise<Secret> {
  const seconds = options.seconds ?? passphraseCommandSeconds;
  const limit = AbortSignal.timeout(seconds * 1000);
  const { output, outcome } = await run(command, options, AbortSignal.any([options.signal, limit]));
  options.signal.throwIfAborted();
  if (limit.aborted) throw failed(`did not finish within ${seconds} s`);
  if (outcome !== undefined) throw failed(outcome);
  const line = firstLine(output);
  if (line === '') throw failed('printed nothing on its first line');
  return new Secret(line);
}

function run(
  command: string,
  { env, cwd }: PassphraseCommandOptions,
  signal: AbortSignal,
): Promise<{ output: string; outcome: string | undefined }> {
  return new Promise((resolve) => {
    // In our session, so that a password manager can ask on the terminal.
    const child = spawn(command, {
      shell: true,
      cwd,
      env: { ...env },
      stdio: ['inherit', 'pipe', 'inherit'],
    });
    const chunks: Buffer[] = [];
    let size = 0;
    const kill = (): void => {
      child.kill('SIGKILL');
      // What the shell started may hold the pipe open for longer than anybody wants to wait.
      child.stdout.destroy();
    };
    const settle = (outcome: string | undefined): void => {
      signal.removeEventListener('abort', kill);
      resolve({ output: Buffer.concat(chunks).toString('utf8'), outcome });
    };
    if (signal.aborted) kill();
    else signal.addEventListener('abort', kill, { once: true });
    child.stdout.on('data', (chunk: Buffer) => {
      size += chunk.length;
      if (size <= limitBytes) chunks.push(chunk);
    });
    child.on('error', (error) => settle(`cannot be run: ${error.message}`));
    child.on('close', (code, by) => {
      settle(code === 0 ? undefined : by === null ? `ended with exit code ${code}` : `was ended by ${by}`);
    });
  });
}

function failed(reason: string): Error {
  return failure('passphrase_command_failed', { reason });
}
