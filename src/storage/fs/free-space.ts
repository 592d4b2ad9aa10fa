import { statfs } from 'node:fs/promises';
import { coded } from './errors.ts';

/** Bytes the user we run as may still write on the file system that holds `directory`. Rejects coded. */
export async function freeBytes(directory: string): Promise<number> {
  const deed = { action: 'measure', name: 'free space', location: directory, path: directory };
  const info = await coded(deed, () => statfs(directory, { bigint: true }));
  return Number(info.bavail * info.bsize);
}
