import { basename } from 'node:path';
import { readdirSync, readFileSync, statSync } from 'node:fs';

/**
 * Another process that has a file open, for people: `python3 (process 123)`. Null when none is seen, as on systems
 * without /proc; processes of other users are seen by root only.
 */
export function holderOf(file: string): string | null {
  try {
    const { dev, ino } = statSync(file, { bigint: true });
    for (const pid of readdirSync('/proc')) {
      if (/^\d+$/.test(pid) && Number(pid) !== process.pid && hasOpen(pid, dev, ino)) {
        return `${programOf(pid)} (process ${pid})`;
      }
    }
  } catch {
    // It only makes a message better.
  }
  return null;
}

/** The name of the program it was started as. The other name, comm, is that of a thread: a program may change it. */
function programOf(pid: string): string {
  const [program = ''] = readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0', 1);
  return basename(program) || readFileSync(`/proc/${pid}/comm`, 'utf8').trim();
}

/**
 * Whether this process has a file open already: a program that uses Holdfast as a library may have its own database open.
 * Opening and closing the file once more would then let go of the locks that its connection holds: POSIX locks belong to
 * a process and a file, whoever closes it. SQLite keeps account of that for its connections, and nobody else can.
 */
export function isOpenHere(file: string): boolean {
  const stats = statSync(file, { bigint: true, throwIfNoEntry: false });
  return stats !== undefined && hasOpen('self', stats.dev, stats.ino);
}

function hasOpen(pid: string, dev: bigint, ino: bigint): boolean {
  try {
    return readdirSync(`/proc/${pid}/fd`).some((fd) => {
      const open = statSync(`/proc/${pid}/fd/${fd}`, { bigint: true, throwIfNoEntry: false });
      return open?.ino === ino && open.dev === dev;
    });
  } catch {
    return false; // Not ours to see, or gone.
  }
}
