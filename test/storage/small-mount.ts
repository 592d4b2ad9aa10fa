import { execFile } from 'node:child_process';
import { mkdir } from 'node:fs/promises';
import { promisify } from 'node:util';

const run = promisify(execFile);

export interface SmallMount extends AsyncDisposable {
  readonly path: string;
  readonly makeReadOnly: () => Promise<void>;
  readonly unmount: () => Promise<void>;
}

/** A file system in memory of 2 MiB mounted at `path`; a string that says why where mounting is not allowed. */
export async function mountSmall(path: string): Promise<SmallMount | string> {
  await mkdir(path, { recursive: true });
  try {
    await run('mount', ['-t', 'tmpfs', '-o', 'size=2m', 'tmpfs', path]);
  } catch (error) {
    return `a small file system cannot be mounted here: ${error instanceof Error ? error.message : String(error)}`;
  }
  let mounted = true;
  const unmount = async (): Promise<void> => {
    if (!mounted) return;
    await run('umount', ['-l', path]);
    mounted = false;
  };
  const makeReadOnly = async (): Promise<void> => {
    await run('mount', ['-o', 'remount,ro', path]);
  };
  return { path, makeReadOnly, unmount, [Symbol.asyncDispose]: unmount };
}
