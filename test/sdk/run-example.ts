import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { promisify } from 'node:util';

const root = join(import.meta.dirname, '../..');

export interface Ran {
  readonly stdout: string;
  readonly stderr: string;
}

interface RunOptions {
  readonly cwd: string;
  readonly env: Readonly<Record<string, string>>;
}

/** Runs a program of examples/ on the sources. Rejects unless it ends by itself, in time and with status 0. */
export function runExample(name: string, args: readonly string[], options: RunOptions): Promise<Ran> {
  return runProgram(join(root, 'examples', name), args, options);
}

/** The same for any program that imports the package by its name. */
export async function runProgram(
  path: string,
  args: readonly string[],
  { cwd, env }: RunOptions,
): Promise<Ran> {
  const preload = pathToFileURL(join(root, 'testing/own-package.mjs')).href;
  return await promisify(execFile)(process.execPath, ['--import', preload, path, ...args], {
    cwd,
    env: { PATH: process.env['PATH'], HOME: cwd, HOLDFAST_PASSPHRASE: 'correct horse battery', ...env },
    timeout: 60_000,
  });
}
