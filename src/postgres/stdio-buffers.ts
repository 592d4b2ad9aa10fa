import { access, constants } from 'node:fs/promises';
import { delimiter, join } from 'node:path';
import { runChild } from './child.ts';
import type { ToolSearch } from './tools.ts';

/** What can be started: a program and its arguments. */
export interface Command {
  readonly command: string;
  readonly args: readonly string[];
}

/** Gives a command whose standard input and output have large buffers, where this machine can. */
export type Widen = (command: Command) => Command;

const sizes = ['-i', '262144', '-o', '262144'];

/**
 * The tools of PostgreSQL move their archives through C's standard streams, whose buffers for a pipe are 4 KiB: every
 * 4 KiB costs two system calls and often a change of process, in sum more than all else that pg_dump does.
 * `stdbuf` of GNU coreutils sets the size from outside. Without a `stdbuf` that works commands stay as they are.
 */
export async function findWiden({ env, signal }: Pick<ToolSearch, 'env' | 'signal'>): Promise<Widen> {
  for (const directory of (env['PATH'] ?? '').split(delimiter)) {
    const stdbuf = join(directory, 'stdbuf');
    if (!directory.startsWith('/') || !(await works(stdbuf, signal))) continue;
    return ({ command, args }) => ({ command: stdbuf, args: [...sizes, command, ...args] });
  }
  return (command) => command;
}

async function works(stdbuf: string, signal: AbortSignal): Promise<boolean> {
  const trial = { command: stdbuf, args: [...sizes, '/bin/sh', '-c', ':'], env: { LC_ALL: 'C' }, signal };
  try {
    await access(stdbuf, constants.X_OK);
    return (await runChild(trial)).code === 0;
  } catch {
    signal.throwIfAborted();
    return false; // not there, or not a program for this machine
  }
}
