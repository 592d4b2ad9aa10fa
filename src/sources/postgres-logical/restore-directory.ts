import { mkdtemp, readdir, rm, stat } from 'node:fs/promises';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { reasonOf } from '../../kernel/errors/failure.ts';
import type { RestoreContext } from '../port.ts';

/** With the machine, because a number means another process in each container that shares the directory. */
const prefix = `holdfast-restore-${hostname()}-`;

/** A new directory for the files of one restore, named so that a later one knows whether it is still in use. */
export async function makeDirectory(parent: string, log: RestoreContext['log']): Promise<string> {
  try {
    await removeAbandoned(parent);
  } catch (error) {
    log.warn('a directory of an interrupted restore could not be removed', { reason: reasonOf(error) });
  }
  return await mkdtemp(join(parent, `${prefix}${process.pid}-`));
}

/** Removes our own directories of processes that are no more. */
async function removeAbandoned(parent: string): Promise<void> {
  for (const name of await readdir(parent)) {
    const pid = name.startsWith(prefix) ? /^(\d+)-/.exec(name.slice(prefix.length))?.[1] : undefined;
    if (pid === undefined || isRunning(Number(pid))) continue;
    const path = join(parent, name);
    if ((await stat(path)).uid === process.getuid?.()) await rm(path, { recursive: true, force: true });
  }
}

function isRunning(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch (error) {
    return (error as NodeJS.ErrnoException).code !== 'ESRCH';
  }
}
