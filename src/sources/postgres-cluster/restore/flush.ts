import { constants } from 'node:fs';
import { open } from 'node:fs/promises';
import { dirname } from 'node:path';

/** Makes the names in a directory durable. One that may not be read is flushed by nobody. */
export async function flushDirectory(path: string): Promise<void> {
  const handle = await open(path, constants.O_RDONLY | constants.O_DIRECTORY).catch(
    (error: NodeJS.ErrnoException) => {
      if (error.code === 'EACCES') return null;
      throw error;
    },
  );
  if (handle === null) return;
  await using directory = handle;
  await directory.sync();
}

/** The same for every directory above `path` up to one that was there before. */
export async function flushAbove(path: string, upTo: string): Promise<void> {
  for (let at = dirname(path); ; at = dirname(at)) {
    await flushDirectory(at);
    if (at === upTo || at.length <= upTo.length || at === dirname(at)) return;
  }
}
