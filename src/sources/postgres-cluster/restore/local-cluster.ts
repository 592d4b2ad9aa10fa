import { constants } from 'node:fs';
import { lstat, open, readFile, readlink } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { controlPath, markName } from './entries.ts';

/** What tells that a restore is not finished; the content of `holdfast.restore`. */
export const markSchema = z.object({
  holdfast_restore: z.literal(1),
  backup: z.string(),
  system_identifier: z.string(),
  started_at: z.string(),
  /** For people who look into it. */
  state: z.string(),
  owner: z.object({ uid: z.number().int(), gid: z.number().int() }),
  /** Where tablespaces were to go, by OID. */
  tablespaces: z.record(z.string(), z.string()),
});

export type Mark = z.infer<typeof markSchema>;

/** What a directory that is not empty says about itself. */
export interface LocalCluster {
  /** Decimal digits; null when it has no `pg_control` that says so. */
  readonly systemIdentifier: string | null;
  readonly mark: Mark | null;
}

export async function lookAtCluster(directory: string): Promise<LocalCluster> {
  return { systemIdentifier: await systemIdentifierOf(directory), mark: await markOf(directory) };
}

async function markOf(directory: string): Promise<Mark | null> {
  try {
    return markSchema.parse(JSON.parse(await readFile(join(directory, markName), 'utf8')));
  } catch {
    return null;
  }
}

async function systemIdentifierOf(directory: string): Promise<string | null> {
  try {
    const path = join(directory, controlPath);
    await using file = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
    if (!(await file.stat()).isFile()) return null;
    const { buffer, bytesRead } = await file.read(Buffer.alloc(8), 0, 8, 0);
    return bytesRead === 8 ? buffer.readBigUInt64LE().toString() : null;
  } catch {
    return null;
  }
}

/** Whether a server is in the directory: why it looks so, or null. `stale` is a process that postmaster.pid names and that is not there. */
export async function serverIn(
  directory: string,
): Promise<{ readonly running: string | null; readonly stale: number | null }> {
  const text = await readFile(join(directory, 'postmaster.pid'), 'utf8').catch(
    (error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT' || error.code === 'ENOTDIR') return null;
      throw error;
    },
  );
  if (text === null) return { running: null, stale: null };
  // A server alone, without a postmaster, has a minus before it.
  const pid = Math.abs(Number.parseInt(text, 10));
  if (!Number.isInteger(pid) || pid === 0)
    return { running: 'its postmaster.pid cannot be understood', stale: null };
  if (!(await runsThere(pid, directory))) return { running: null, stale: pid };
  return { running: `postmaster.pid names process ${pid}, which is there`, stale: null };
}

async function runsThere(pid: number, directory: string): Promise<boolean> {
  if (pid === process.pid || pid === process.ppid) return false;
  try {
    process.kill(pid, 0);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ESRCH') return false;
  }
  // Numbers of processes are used again. Each process of a server works in the data directory.
  const cwd = await readlink(`/proc/${pid}/cwd`).catch(() => null);
  if (cwd !== null) return cwd === directory || (await sameDirectory(cwd, directory));
  const name = await readFile(`/proc/${pid}/comm`, 'utf8').catch(() => null);
  return name === null || /^(?:postgres|postmaster|edb-)/.test(name);
}

async function sameDirectory(one: string, other: string): Promise<boolean> {
  try {
    const [a, b] = [await lstat(one), await lstat(other)];
    return a.ino === b.ino && a.dev === b.dev;
  } catch {
    return false;
  }
}
