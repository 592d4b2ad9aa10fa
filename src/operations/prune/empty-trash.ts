import { parseTrashObject, trashPrefix } from '../../repository/history/names.ts';
import { readSeen } from '../../repository/gc/seen.ts';
import type { BackupName } from '../../repository/model.ts';
import type { Repository } from '../../repository/repository.ts';
import type { Run } from './runs.ts';

export interface Trash {
  /** Manifests that may go now. */
  readonly over: readonly { readonly name: string; readonly backup: BackupName }[];
  /** Whether something in the trash was not there yet, as far as the runs that wait know: what it alone needed may not be marked. */
  readonly isUnmarked: boolean;
}

/**
 * Which manifests of forgotten backups have been in the trash for so long that what they alone needed is gone: two graces,
 * and a run of marking that saw them no more was due. A repository that nobody has pruned for long has all of it still.
 */
export async function lookAtTrash(
  repository: Repository,
  { due, waiting }: { readonly due: readonly Run[]; readonly waiting: readonly Run[] },
  isOld: (storedAtMs: number) => boolean,
  signal: AbortSignal,
): Promise<Trash> {
  const seen = new Map<string, ReadonlySet<string> | undefined>();
  const knowsAsGone = async (
    { id, storedAtMs }: Run,
    backup: string,
    trashedAtMs: number,
  ): Promise<boolean> => {
    if (storedAtMs < trashedAtMs) return false;
    if (!seen.has(id)) {
      const backups = await readSeen(repository, id, signal);
      seen.set(id, backups === undefined ? undefined : new Set(backups));
    }
    return seen.get(id)?.has(backup) === false;
  };
  const over: { name: string; backup: BackupName }[] = [];
  let isUnmarked = false;
  for await (const { name, modifiedAtMs } of repository.storage.list(trashPrefix, { signal })) {
    const backup = parseTrashObject(name);
    if (backup === undefined) continue;
    const isKnownTo = async (runs: readonly Run[]): Promise<boolean> => {
      for (const run of runs) if (await knowsAsGone(run, backup.id, modifiedAtMs)) return true;
      return false;
    };
    if (isOld(modifiedAtMs) && (await isKnownTo(due))) over.push({ name, backup });
    else if (!isUnmarked) isUnmarked = !(await isKnownTo(waiting));
  }
  return { over, isUnmarked };
}
