import type { Manifest } from '../contract/manifest.ts';
import { failure, isFailure } from '../kernel/errors/failure.ts';
import { clusterKind } from '../operations/recovery/backups.ts';
import type { Recoverable } from '../operations/wal/recoverable.ts';
import { pinsOf } from '../repository/history/pins.ts';
import type { BackupName } from '../repository/model.ts';
import type { Repository } from '../repository/repository.ts';
import { backupView, type BackupView } from './backup-view.ts';
import { withApp, type App, type AppContext, type CommonOptions, type Outcome } from './compose.ts';
import { openForReading } from './open-for-reading.ts';
import { recoverableOf } from './recoverable.ts';
import { unknownSource } from './unknown-source.ts';

export interface ListOptions extends CommonOptions {
  readonly source?: string | undefined;
  readonly tags?: Readonly<Record<string, string>> | undefined;
  /** Only the newest so many. */
  readonly limit?: number | undefined;
}

export interface ListedBackup extends BackupView {
  /** How far recovery gets from it; null for anything but a backup of a PostgreSQL cluster. */
  readonly recoverable: Recoverable | null;
  /** Why it is pinned, empty when nobody said; null when it is not. */
  readonly pinned: string | null;
}

export interface ListResult extends Outcome {
  readonly repository: { readonly id: string; readonly location: string };
  /** Oldest first. */
  readonly backups: readonly ListedBackup[];
  /** Backups that are there and whose manifest cannot be read. */
  readonly unreadable: readonly UnreadableBackup[];
}

export interface UnreadableBackup {
  readonly id: string;
  readonly object: string;
  readonly code: string;
  readonly message: string;
}

/**
 * The backups of the repository. `source_unknown` when a source is asked for that has none and is not configured. A damaged manifest hides no
 * other backup: the result then is not ok (`backups_unreadable`), and has all the rest.
 */
export async function list(options: ListOptions, context: AppContext): Promise<ListResult> {
  return withApp(options, context, null, async (app) => {
    const { repository } = await openForReading(app);
    await using _repository = repository;
    const names = await repository.names({ signal: app.signal });
    const wanted = options.limit ?? Number.POSITIVE_INFINITY;
    const found: { readonly view: BackupView; readonly cluster: Manifest | null }[] = [];
    const sources = new Set<string>();
    const unreadable: UnreadableBackup[] = [];
    for (const name of names.toReversed()) {
      if (found.length >= wanted) break;
      const manifest = await readable(repository, name, unreadable, app.signal);
      if (manifest === undefined) continue;
      const view = backupView(manifest);
      sources.add(view.source);
      if (!matches(view, options)) continue;
      found.push({ view, cluster: view.kind === clusterKind ? manifest : null });
    }
    if (options.source !== undefined && !sources.has(options.source))
      refuseUnknown(app, options.source, sources);
    const clusters = found.map(({ cluster }) => cluster).filter((manifest) => manifest !== null);
    const recoverable = await recoverableOf(repository, clusters, app.signal);
    const pins = await pinsOf(
      repository,
      found.map(({ view }) => view.id),
      app.signal,
    );
    const backups = found.map(({ view }) => ({
      ...view,
      recoverable: recoverable.get(view.id) ?? null,
      pinned: pins.get(view.id) ?? null,
    }));
    const { id } = repository.info;
    const { location } = repository.storage;
    const count = unreadable.length;
    return {
      schema: 1,
      ok: count === 0,
      ...(count === 0 ? {} : { error: failure('backups_unreadable', { count, location }).toJSON() }),
      repository: { id, location },
      backups: backups.toReversed(),
      unreadable: unreadable.toReversed(),
    };
  });
}

/** A source without a backup yet is no mistake when the configuration has it. */
function refuseUnknown({ config, observer }: App, name: string, known: ReadonlySet<string>): void {
  if (!Object.hasOwn(config.sources, name))
    throw unknownSource(name, new Set([...known, ...Object.keys(config.sources)]));
  observer.notice({ level: 'info', message: `source ${name} is configured and has no backup yet` });
}

async function readable(
  repository: Repository,
  name: BackupName,
  unreadable: UnreadableBackup[],
  signal: AbortSignal,
): Promise<Manifest | undefined> {
  try {
    return await repository.manifest(name, { signal });
  } catch (error) {
    if (isFailure(error, 'backup_unknown')) return undefined; // removed since it was listed
    if (!isFailure(error, 'object_damaged')) throw error;
    const { code, message } = error;
    unreadable.push({ id: name.id, object: name.objectName, code, message });
    return undefined;
  }
}

function matches(view: BackupView, { source, tags }: ListOptions): boolean {
  if (source !== undefined && view.source !== source) return false;
  return Object.entries(tags ?? {}).every(([key, value]) => view.tags[key] === value);
}
