import { statfs } from 'node:fs/promises';
import { failure } from '../../kernel/errors/failure.ts';
import { coded, saysAbsent } from './errors.ts';

/**
 * Bytes the user we run as may still write on the file system that holds `directory`.
 * `storage_missing` when there is no such directory; other failures reject coded as well.
 */
export async function freeBytes(directory: string): Promise<number> {
  const deed = { action: 'measure', name: 'free space', location: directory, path: directory };
  return coded(deed, async () => {
    try {
      const info = await statfs(directory, { bigint: true });
      return Number(info.bavail * info.bsize);
    } catch (error) {
      throw saysAbsent(error) ? failure('storage_missing', { location: directory }, { cause: error }) : error;
    }
  });
}
