import type { Manifest } from '../contract/manifest.ts';
import type { Repository } from '../repository/repository.ts';
import { checkBackup } from './check-backup.ts';
import type { RestoreContext } from '../sources/port.ts';
import type { OperationContext, Restorer } from './contract.ts';

/**
 * Restores a backup through `restorer`. Every chunk that it will read is read and checked before the target is
 * touched, so damage is found while the target is still as it was. Where reading costs money and time, and nothing is at
 * the target yet, it is enough that all is there: what is restored is checked as it comes, and shows itself when it is whole.
 */
export async function restoreBackup<R>(
  repository: Repository,
  manifest: Manifest,
  restorer: Restorer<R>,
  context: OperationContext,
): Promise<R> {
  const { signal, progress } = context;
  progress.phase('checking the backup');
  const needs = restorer.needs?.bind(restorer);
  const isCharged = repository.storage.requests !== undefined;
  const depth = isCharged && restorer.isNew === true ? 'presence' : 'contents';
  await checkBackup(repository, manifest, { signal, depth, ...(needs === undefined ? {} : { needs }) });
  return await restorer.restore(restoreContext(repository, manifest, context));
}

/** What a source sees of a backup that is restored, or for which a restore is planned. */
export function restoreContext(
  repository: Repository,
  manifest: Manifest,
  { signal, log, jobs, progress }: OperationContext,
): RestoreContext {
  return {
    signal,
    log: log.child({ backup: manifest.id }),
    jobs,
    metadata: manifest.metadata,
    entries: () => repository.entries(manifest, { signal }),
    open: (stream, options) => repository.open(stream, { signal, ...options }),
    readTogether: (streams) => repository.readTogether(streams, { signal }),
    extents: (stream) => repository.extents(stream, { signal }),
    openExtents: (extents) => repository.openExtents(extents, { signal }),
    run: (task, input, options = {}) => {
      const signals = [signal, options.signal].filter((one) => one !== undefined);
      return repository.workers().run(task, input, { ...options, signal: AbortSignal.any(signals) });
    },
    progress,
  };
}
