import type { Manifest } from '../contract/manifest.ts';
import { failure } from '../kernel/errors/failure.ts';
import { forgottenRecords, takeOutOfForgotten } from '../repository/history/forgotten.ts';
import { trashObject } from '../repository/history/names.ts';
import { assertRestorable } from '../repository/history/restorable.ts';
import { readTrashed, trashed } from '../repository/history/trash.ts';
import type { BackupName } from '../repository/model.ts';
import type { Repository } from '../repository/repository.ts';
import type { OperationContext } from './contract.ts';
import { ArchiveView } from './recovery/archive-view.ts';
import { clusterBackup } from './recovery/backups.ts';
import { doomedWal } from './wal/doomed.ts';
import { outlookOf } from './wal/recoverable.ts';

type UndoOptions = Pick<OperationContext, 'signal' | 'log' | 'progress'> & { readonly dryRun: boolean };

const reference = /^[0-9a-f]{4,32}$/;

/** The forgotten backup that an id, or the beginning of one, means. `forget_unknown`, `backup_ambiguous`. */
export async function findForgotten(
  repository: Repository,
  id: string,
  signal: AbortSignal,
): Promise<BackupName> {
  const names = await trashed(repository, signal);
  const matching = reference.test(id) ? names.filter((name) => name.id.startsWith(id)) : [];
  const [only, second] = matching;
  if (second !== undefined) {
    const examples = matching.slice(0, 3).map((name) => name.id.slice(0, id.length + 4));
    throw failure('backup_ambiguous', {
      reference: id,
      count: matching.length,
      examples: examples.join(', '),
    });
  }
  if (only !== undefined) return only;
  const known = names
    .slice(-5)
    .map((name) => name.id.slice(0, 8))
    .join(', ');
  throw failure('forget_unknown', {
    reference: id,
    known: known === '' ? '' : `. Forgotten are: ${known}${names.length > 5 ? ', and others before' : ''}`,
  });
}

/**
 * Brings a forgotten backup back: the same bytes under the same name, so that it is the backup it was. `forget_gone` when
 * a prune has removed what it needs, `object_damaged` when its manifest is not as it was.
 */
export async function undoForget(
  repository: Repository,
  name: BackupName,
  { signal, log, progress, dryRun }: UndoOptions,
): Promise<Manifest> {
  repository.assertMay('read', 'write', 'delete');
  const { manifest, bytes, sha256 } = await readTrashed(repository, name, signal);
  await assertSameAsForgotten(repository, name, sha256, signal);
  progress.phase('looking whether everything is still there');
  await assertRestorable(repository, manifest, signal, dryRun);
  await assertWalThere(repository, manifest, signal);
  if (dryRun) return manifest;
  // From here on not abortable: it is one step to whoever looks.
  await repository.storage.put(name.objectName, bytes);
  // Nothing announces WAL: a prune that has not seen this backup may have begun to remove some of it.
  try {
    await assertWalThere(repository, manifest);
  } catch (error) {
    await repository.storage.delete(name.objectName);
    throw error;
  }
  await takeOutOfForgotten(repository, name.id);
  await repository.storage.delete(trashObject(name));
  log.info('forgotten backup brought back', { backup: name.id });
  return manifest;
}

/** Whoever can write to the storage may have put another manifest there, an older one of the same backup perhaps. */
async function assertSameAsForgotten(
  repository: Repository,
  name: BackupName,
  sha256: string,
  signal: AbortSignal,
): Promise<void> {
  for await (const read of forgottenRecords(repository, signal)) {
    const backup = 'record' in read ? read.record.backups.find(({ id }) => id === name.id) : undefined;
    if (backup !== undefined && backup.sha256 !== sha256) {
      const reason = 'it is not the manifest that was forgotten';
      throw failure('object_damaged', { name: trashObject(name), reason });
    }
  }
}

/** Of a cluster's backup the WAL from its start to its end is there, and no prune is about to remove it. `forget_gone`. */
async function assertWalThere(
  repository: Repository,
  manifest: Manifest,
  signal?: AbortSignal,
): Promise<void> {
  const backup = clusterBackup(manifest);
  if (backup === undefined) return;
  const outlook = await outlookOf(
    backup,
    async (id) => {
      const archive = await repository.findWalArchive(id, { signal });
      return archive === undefined ? undefined : await ArchiveView.of(archive, { signal });
    },
    'current',
  );
  if ('broken' in outlook) throw failure('forget_gone', { id: manifest.id, what: outlook.broken });
  const { timeline, start, stop, metadata } = backup;
  const needed = { archive: metadata.wal_archive, timeline, start, stop };
  const doomed = await doomedWal(repository, [needed], signal);
  if (doomed === undefined) return;
  const what = `WAL of timeline ${doomed.timeline} from ${doomed.from} to ${doomed.to}, which a prune is about to remove`;
  throw failure('forget_gone', { id: manifest.id, what });
}
