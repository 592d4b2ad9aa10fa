import { chmod, lstat, readdir, rmdir, unlink } from 'node:fs/promises';

const unlinksAtOnce = 64;
const slash = Buffer.from('/');

/** Removes a directory that this restore has made, with all that is in it, whatever the rights of what is in it. */
export async function removeTree(directory: Buffer): Promise<void> {
  // What belongs to somebody else already is root's to remove, who needs no rights.
  await chmod(directory, 0o700).catch(() => undefined);
  const entries = await readdir(directory, { withFileTypes: true, encoding: 'buffer' });
  for (let from = 0; from < entries.length; from += unlinksAtOnce) {
    const some = entries.slice(from, from + unlinksAtOnce);
    await Promise.all(
      some.filter((entry) => !entry.isDirectory()).map((entry) => unlink(inside(directory, entry.name))),
    );
  }
  for (const entry of entries) if (entry.isDirectory()) await removeTree(inside(directory, entry.name));
  await rmdir(directory);
}

function inside(directory: Buffer, name: Buffer): Buffer {
  return Buffer.concat([directory, slash, name]);
}

/** Whether there is something of that name, be it a link that leads nowhere. */
export async function isThere(path: string | Buffer): Promise<boolean> {
  try {
    await lstat(path);
    return true;
  } catch (error) {
    const { code = '' } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ENOTDIR') return false;
    throw error;
  }
}
