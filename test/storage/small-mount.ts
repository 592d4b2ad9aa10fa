import { execFile } from 'node:child_process';
import { mkdir } from 'node:fs/promises';
import { promisify } from 'node:util';

const run = promisify(execFile);

export interface SmallMount extends AsyncDisposable {
  readonly path: string;
  readonly makeReadOnly: () => Promise<void>;
  readonly unmount: () => Promise<void>;
}

/** A file system in memory of 2 MiB mounted at `path`. */
export async function mountSmall(path: string): Promise<SmallMount> {
  await mkdir(path, { recursive: true });
  await run('mount', ['-t', 'tmpfs', '-o', 'size=2m', 'tmpfs', path]);
  let mounted = true;
  const unmount = async (): Promise<void> => {
    if (!mounted) return;
    await run('umount', ['-l', path]);
    mounted = false;
  };
  const makeReadOnly = async (): Promise<void> => {
    await run('mount', ['-o', 'remount,bind,ro', path]);
  };
  return { path, makeReadOnly, unmount, [Symbol.asyncDispose]: unmount };
}
