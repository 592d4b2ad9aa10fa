import { mkdir, readdir, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { failure, reasonOf } from '../../kernel/errors/failure.ts';

const prefix = 'holdfast-sqlite-';
const dayMs = 24 * 60 * 60 * 1000;

/**
 * Makes a directory for copies that only we can enter, in `parent`. Removes those that processes have left there that
 * were killed: a day ago, and of processes that are no more. Throws `sqlite_no_temporary`.
 */
export async function makeTemporary(parent: string, token: string, nowMs: number): Promise<string> {
  const directory = join(parent, `${prefix}${process.pid}-${token}`);
  try {
    await mkdir(parent, { recursive: true });
    await sweep(parent, nowMs);
    await mkdir(directory, { mode: 0o700 });
  } catch (error) {
    throw failure('sqlite_no_temporary', { directory: parent, reason: reasonOf(error) }, { cause: error });
  }
  return directory;
}

async function sweep(parent: string, nowMs: number): Promise<void> {
  for (const name of await readdir(parent)) {
    const pid = /^holdfast-sqlite-(\d+)-[0-9a-f]+$/.exec(name)?.[1];
    if (pid === undefined || isAlive(Number(pid))) continue;
    const path = join(parent, name);
    const stats = await stat(path).catch(() => null);
    const isOurs = stats?.isDirectory() === true && stats.uid === process.geteuid?.();
    if (isOurs && stats.mtimeMs < nowMs - dayMs) await rm(path, { recursive: true, force: true });
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code !== 'ESRCH';
  }
}
