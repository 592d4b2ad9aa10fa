import type { Manifest } from '../contract/manifest.ts';
import type { Clock } from '../kernel/clock.ts';
import { isFailure, reasonOf } from '../kernel/errors/failure.ts';
import { newBackupId } from '../kernel/ids.ts';
import type { Semaphore } from '../kernel/queue.ts';
import type { Compression } from '../pipeline/codec.ts';
import type { Repository } from '../repository/repository.ts';
import { openWalStore } from './wal/store.ts';
import type { BackupContext, PreviousBackup } from '../sources/port.ts';
import type { BackupProgress, BackupSource, OperationContext } from './contract.ts';

export interface BackupOptions extends OperationContext {
  readonly progress: BackupProgress;
  readonly clock: Clock;
  readonly compression: Compression;
  /** Shared with backups that run beside this one, so that together they have no more than so many tasks at once. */
  readonly permits?: Semaphore | undefined;
  /** A pack is closed when it has grown beyond this; see `SessionOptions`. */
  readonly packBytes?: number | undefined;
  readonly tags: Readonly<Record<string, string>>;
  readonly origin: Manifest['origin'];
}

/** What happens to a source now and then, and hardly twice in a row. */
const passing = ['cluster_database_moved'] as const;
const mostAttempts = 3;

/**
 * Backs one source up. Resolves with the manifest once the backup is durable; when it rejects, nothing of it is
 * visible, and what was stored is found again by the next backup. A repository takes one backup at a time;
 * its `sibling()` takes another.
 */
export async function backupSource(
  repository: Repository,
  source: BackupSource,
  options: BackupOptions,
): Promise<Manifest> {
  for (let attempt = 1; ; attempt += 1)
    try {
      return await backUpOnce(repository, source, options);
    } catch (error) {
      if (attempt === mostAttempts || !passing.some((name) => isFailure(error, name))) throw error;
      options.log.warn('beginning anew', { source: source.name, attempt, reason: reasonOf(error) });
    }
}

async function backUpOnce(
  repository: Repository,
  source: BackupSource,
  options: BackupOptions,
): Promise<Manifest> {
  const { clock, compression, jobs, log, signal, progress } = options;
  const id = newBackupId();
  const startedAt = new Date(clock.now()).toISOString();
  let bytesRead = 0;
  progress.phase('reading the index');
  await using session = await repository.beginSession({
    signal,
    compression,
    jobs,
    permits: options.permits,
    packBytes: options.packBytes,
    onNewBytes: (bytes) => progress.stored(bytes),
  });
  const before = await repository.newestOf({ name: source.name, kind: source.kind }, { signal });
  const context: BackupContext = {
    signal,
    log: log.child({ backup: id, source: source.name }),
    jobs,
    run: (task, input, runOptions) => session.run(task, input, runOptions),
    expect: (task) => session.expect(task),
    openStream: (chunking) => session.openStream(chunking),
    addEntry: (entry) => session.addEntry(entry),
    previous: before === undefined ? null : previousBackup(repository, before, signal),
    keep: (streams) => session.keep(streams),
    openWal: (cluster) => openWalStore(repository, source.name, cluster, signal),
    progress: {
      phase: (text) => progress.phase(text),
      total: (bytes) => progress.total(bytes),
      advance: (bytes) => {
        bytesRead += bytes;
        progress.advance(bytes);
      },
    },
  };
  const outcome = await source.backup(context);
  progress.phase('making it durable');
  return await session.commit((counts, entries) => ({
    schema: 1,
    id,
    source: { name: source.name, kind: source.kind },
    started_at: startedAt,
    finished_at: new Date(clock.now()).toISOString(),
    tags: { ...options.tags },
    origin: options.origin,
    stats: {
      bytes_read: bytesRead,
      bytes: counts.bytes,
      bytes_added: counts.bytesAdded,
      chunks: counts.chunks,
      chunks_new: counts.chunksNew,
      bytes_new: counts.bytesNew,
    },
    warnings: [...outcome.warnings],
    ...(outcome.incomplete === undefined ? {} : { incomplete: outcome.incomplete }),
    metadata: { ...outcome.metadata },
    entries,
  }));
}

function previousBackup(repository: Repository, manifest: Manifest, signal: AbortSignal): PreviousBackup {
  return {
    id: manifest.id,
    startedAtMs: Date.parse(manifest.started_at),
    host: manifest.origin.host,
    metadata: manifest.metadata,
    entries: () => repository.entries(manifest, { signal }),
  };
}
