import { parseTrashObject, trashPrefix } from '../../repository/history/names.ts';
import type { Storage } from '../../storage/port.ts';

/**
 * Removes manifests of forgotten backups that have been in the trash for so long that what they alone needed is gone: two
 * graces after they were forgotten. Resolves with how many. Which backups were forgotten stays recorded.
 */
export async function emptyTrash(
  storage: Storage,
  nowMs: number,
  graceMs: number,
  signal: AbortSignal,
): Promise<number> {
  let removed = 0;
  for await (const { name, modifiedAtMs } of storage.list(trashPrefix, { signal })) {
    if (parseTrashObject(name) === undefined || nowMs - modifiedAtMs <= 2 * graceMs) continue;
    await storage.delete(name, { signal });
    removed += 1;
  }
  return removed;
}
