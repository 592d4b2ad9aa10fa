import { failure, isFailure, reasonOf, type HoldfastError } from '../kernel/errors/failure.ts';
import { plural } from '../kernel/plural.ts';
import { measureSize, readBackups, type FoundBackups, type SizeReport } from '../operations/size.ts';
import type { BackupSize, RepositorySize, SourceSize } from '../operations/size-report.ts';
import {
  openConfiguredRepository,
  withApp,
  type App,
  type AppContext,
  type CommonOptions,
  type Outcome,
} from './compose.ts';
import { recent, type CostEstimate } from './costs/estimate.ts';
import { placeCost } from './costs/place-cost.ts';
import type { UnreadableBackup } from './list.ts';
import { unknownSource } from './unknown-source.ts';

export interface SizeOptions extends CommonOptions {
  /** Show this source and its backups only; shares are still those among all. */
  readonly source?: string | undefined;
  /** Show only the newest so many backups. */
  readonly limit?: number | undefined;
}

export interface SizeResult extends Outcome {
  readonly repository: { readonly id: string; readonly location: string } & RepositorySize;
  /** In the order of their names. */
  readonly sources: readonly SourceSize[];
  /** Oldest first. */
  readonly backups: readonly BackupSize[];
  readonly unreadable: readonly UnreadableBackup[];
  /** What the place may cost in a month, by list prices or those of the settings; null where none are known. */
  readonly cost: CostEstimate | null;
}

/**
 * What backups, sources and the repository take. `source_unknown` before anything is measured. Damage makes the result
 * not ok (`backups_unreadable`, `chunks_missing`); it has all that could be measured.
 */
export async function size(options: SizeOptions, context: AppContext): Promise<SizeResult> {
  return withApp(options, context, null, async (app) => {
    await using repository = await openConfiguredRepository(app);
    using progress = app.observer.progress('size');
    progress.phase('reading the list of backups');
    const backups = await readBackups(repository, app.signal);
    if (options.source !== undefined) refuseUnknown(app, options.source, backups);
    const report = await measureSize(repository, backups, { signal: app.signal, progress });
    const { location } = repository.storage;
    const error = damageIn(report, location);
    const shown = ({ source }: { readonly source: string }): boolean =>
      options.source === undefined || source === options.source;
    return {
      schema: 1,
      ok: error === undefined,
      ...(error === undefined ? {} : { error: error.toJSON() }),
      repository: { id: repository.info.id, location, ...report.repository },
      sources: report.sources.filter(shown),
      backups: report.backups.filter(shown).slice(-(options.limit ?? Number.POSITIVE_INFINITY)),
      unreadable: unreadableIn(report),
      cost: costOf(app, report, backups),
    };
  });
}

function costOf(app: App, { repository }: SizeReport, { found }: FoundBackups): CostEstimate | null {
  const all = found.map(({ manifest }) => ({
    startedAtMs: Date.parse(manifest.started_at),
    bytesAdded: manifest.stats.bytes_added,
  }));
  const lately = recent(all, app.machine.clock.now());
  return placeCost(app, app.config.repository, {
    packBytes: repository.pack_bytes,
    otherBytes: repository.total_bytes - repository.pack_bytes,
    packs: repository.packs,
    backups: lately.length,
    bytesAdded: lately.reduce((sum, { bytesAdded }) => sum + bytesAdded, 0),
  });
}

/** A source without a backup yet is no mistake when the configuration has it. */
function refuseUnknown({ config, observer }: App, name: string, { found }: FoundBackups): void {
  const known = new Set(found.map(({ manifest }) => manifest.source.name));
  if (known.has(name)) return;
  if (!Object.hasOwn(config.sources, name))
    throw unknownSource(name, known.union(new Set(Object.keys(config.sources))));
  observer.notice({ level: 'info', message: `source ${name} is configured and has no backup yet` });
}

function damageIn({ unreadable, backups }: SizeReport, location: string): HoldfastError | undefined {
  if (unreadable.length > 0) return failure('backups_unreadable', { count: unreadable.length, location });
  const { length } = backups.filter(({ missing_chunks: missing }) => missing > 0);
  if (length === 0) return undefined;
  return failure('chunks_missing', {
    backups: plural(length, 'backup'),
    location,
    lack: length === 1 ? 'lacks' : 'lack',
  });
}

function unreadableIn({ unreadable }: SizeReport): UnreadableBackup[] {
  return unreadable.map(({ name, error }) => ({
    id: name.id,
    object: name.objectName,
    code: isFailure(error) ? error.code : '',
    message: reasonOf(error),
  }));
}
