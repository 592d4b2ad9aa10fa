import { execFileSync, spawn } from 'node:child_process';
import { copyFileSync, cpSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { text } from 'node:stream/consumers';
import { tempDirectory } from '../../testing/temp.ts';

export const kitFile = fileURLToPath(new URL('../../recovery/holdfast-restore.mjs', import.meta.url));
export const goldenPassphrase = 'correct horse battery';

export interface KitRan {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** A directory that has nothing in it but the file, as on a bare machine; with nothing in the environment. */
export interface BareMachine extends AsyncDisposable {
  readonly path: string;
  at(...names: string[]): string;
  run(args: readonly string[], options?: KitOptions): Promise<KitRan>;
}

export interface KitOptions {
  readonly passphrase?: string;
  readonly env?: Readonly<Record<string, string>>;
  /** Words in front of the command. */
  readonly wrapper?: readonly string[];
}

export async function bareMachine(): Promise<BareMachine> {
  const directory = await tempDirectory('holdfast-bare-');
  const file = join(directory.path, 'holdfast-restore.mjs');
  copyFileSync(kitFile, file);
  return {
    path: directory.path,
    at: (...names) => join(directory.path, ...names),
    run: async (args, { passphrase, env = {}, wrapper = [] } = {}) => {
      const [command = '', ...words] = [...wrapper, process.execPath, file, ...args];
      const child = spawn(command, words, {
        cwd: directory.path,
        env: passphrase === undefined ? env : { HOLDFAST_PASSPHRASE: passphrase, ...env },
        stdio: ['ignore', 'pipe', 'pipe'],
        timeout: 60_000,
      });
      const ended = new Promise<number | null>((resolve, reject) => {
        child.on('error', reject).on('close', resolve);
      });
      const [stdout, stderr] = await Promise.all([text(child.stdout), text(child.stderr)]);
      return { code: await ended, stdout, stderr };
    },
    [Symbol.asyncDispose]: async () => {
      // What was restored may be shut even for its owner.
      execFileSync('chmod', ['-R', 'u+rwX', directory.path]);
      await directory[Symbol.asyncDispose]();
    },
  };
}

/** A copy of a golden repository on that machine. */
export function goldenCopy(machine: BareMachine, name: string, as = 'repository'): string {
  const copy = machine.at(as);
  cpSync(fileURLToPath(new URL(`../golden/${name}`, import.meta.url)), copy, { recursive: true });
  return copy;
}

/** Objects are read-only, so that only on purpose they are changed. */
export function overwrite(file: string, bytes: string | Uint8Array): void {
  rmSync(file);
  writeFileSync(file, bytes);
}

/** Every file below a folder, the largest first. */
export function filesBelow(folder: string): string[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
    .toSorted((a, b) => statSync(b).size - statSync(a).size || (a < b ? -1 : 1));
}
