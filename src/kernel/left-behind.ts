import { lstat, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';

const dayMs = 24 * 60 * 60 * 1000;

/**
 * Removes temporary files and directories in `directory` that killed processes have left: those whose names match, whose
 * process (the first group of `names`, its id) is no more, that are our user's, and in which nothing has changed for a
 * day, for processes of another machine or container may write there, too. What cannot be looked at or removed stays.
 */
export async function removeLeftBehind(directory: string, names: RegExp, nowMs: number): Promise<void> {
  for (const name of await readdir(directory).catch(() => [])) {
    const pid = names.exec(name)?.[1];
    if (pid === undefined || isAlive(Number(pid))) continue;
    const path = join(directory, name);
    const changedMs = await changeOf(path);
    if (changedMs === undefined || changedMs >= nowMs - dayMs) continue;
    await rm(path, { recursive: true, force: true }).catch(() => undefined); // the next one tries again
  }
}

/** When a file, or a directory or anything in it, was last written; undefined when it is somebody else's, or gone. */
async function changeOf(path: string): Promise<number | undefined> {
  try {
    const stats = await lstat(path);
    if (stats.uid !== process.geteuid?.()) return undefined;
    if (stats.isFile()) return stats.mtimeMs;
    if (!stats.isDirectory()) return undefined;
    let newest = stats.mtimeMs;
    for (const name of await readdir(path))
      newest = Math.max(newest, (await lstat(join(path, name))).mtimeMs);
    return newest;
  } catch {
    return undefined;
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
