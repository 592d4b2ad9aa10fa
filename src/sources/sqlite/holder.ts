import { readdirSync, readFileSync, statSync } from 'node:fs';
import { basename } from 'node:path';

/**
 * What other processes have open of these files, as far as they can be seen: those of other users by root only, and those
 * outside of a container by nobody in it. By file; for people: `python3 (process 123)`.
 */
export function holdersOf(files: readonly string[]): ReadonlyMap<string, string> {
  const holders = new Map<string, string>();
  const wanted = new Map<string, string>();
  for (const file of files) {
    const stats = statSync(file, { bigint: true, throwIfNoEntry: false });
    if (stats !== undefined) wanted.set(keyOf(stats), file);
  }
  for (const pid of processes()) {
    for (const key of openIn(pid)) {
      const file = wanted.get(key);
      if (file !== undefined && !holders.has(file)) holders.set(file, nameOf(pid));
    }
  }
  return holders;
}

/** None on systems without /proc. */
function processes(): readonly string[] {
  try {
    return readdirSync('/proc').filter((name) => /^\d+$/.test(name) && Number(name) !== process.pid);
  } catch {
    return [];
  }
}

/**
 * Another process that has a file open, for people: `python3 (process 123)`. Null when none is seen, as on systems
 * without /proc; processes of other users are seen by root only.
 */
export function holderOf(file: string): string | null {
  return holdersOf([file]).get(file) ?? null;
}

/**
 * Whether this process has a file open already: a program that uses Holdfast as a library may have its own database open.
 * Opening and closing the file once more would then let go of the locks that its connection holds: POSIX locks belong to
 * a process and a file, whoever closes it. SQLite keeps account of that for its connections, and nobody else can.
 */
export function isOpenHere(file: string): boolean {
  const stats = statSync(file, { bigint: true, throwIfNoEntry: false });
  return stats !== undefined && openIn('self').includes(keyOf(stats));
}

/** The files that a process has open; none when that is not ours to see, or it is gone. */
function openIn(pid: string): string[] {
  try {
    return readdirSync(`/proc/${pid}/fd`).flatMap((fd) => {
      const open = statSync(`/proc/${pid}/fd/${fd}`, { bigint: true, throwIfNoEntry: false });
      return open === undefined ? [] : [keyOf(open)];
    });
  } catch {
    return [];
  }
}

function keyOf({ dev, ino }: { readonly dev: bigint; readonly ino: bigint }): string {
  return `${dev}:${ino}`;
}

function nameOf(pid: string): string {
  try {
    return `${programOf(pid)} (process ${pid})`;
  } catch {
    return `process ${pid}`;
  }
}

/** The name of the program it was started as. The other name, comm, is that of a thread: a program may change it. */
function programOf(pid: string): string {
  const [program = ''] = readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0', 1);
  return basename(program) || readFileSync(`/proc/${pid}/comm`, 'utf8').trim();
}
