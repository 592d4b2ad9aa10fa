import { mkdir, rename, rmdir } from 'node:fs/promises';

/**
 * Gives a file or directory a new name that nobody has; false when it is taken. By way of an empty directory, for a rename
 * over one that is empty loses nothing, and others it refuses.
 */
export async function tookName(from: string | Buffer, name: string | Buffer): Promise<boolean> {
  try {
    await mkdir(name, { mode: 0o700 });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw error;
  }
  try {
    await rename(from, name);
    return true;
  } catch (error) {
    await rmdir(name).catch(() => undefined);
    if (['ENOTEMPTY', 'EEXIST'].includes((error as NodeJS.ErrnoException).code ?? '')) return false;
    throw error;
  }
}
