import { chown, lchown, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { ServerUser } from '../local-postgres/server-user.ts';

/** A directory and all that is in it gets another owner. */
export async function giveTo(directory: string, { uid, gid }: ServerUser): Promise<void> {
  for (const name of await readdir(directory, { recursive: true }))
    await lchown(join(directory, name), uid, gid);
  await chown(directory, uid, gid);
}
