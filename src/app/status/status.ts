import type { Manifest } from '../../contract/manifest.ts';
import { failure } from '../../kernel/errors/failure.ts';
import type { BackupName } from '../../repository/model.ts';
import { backupView, type BackupView } from '../backup-view.ts';
import { withApp, type App, type AppContext, type CommonOptions, type Outcome } from '../compose.ts';
import { recent, type CostEstimate } from '../costs/estimate.ts';
import { placeCost } from '../costs/place-cost.ts';
import { openForReading } from '../open-for-reading.ts';
import { copyPlaces, primaryPlace } from '../places.ts';
import { placeDeadlineMs } from './deadline.ts';
import { copyStatus, primaryStatus, unreachable, type PlaceStatus } from './places.ts';
import { newestBackups, sourcesStatus, type SourceStatus } from './sources.ts';
import { amissIn, type Amiss } from './verdict.ts';
import { lastVerification, type LastVerification } from './verification.ts';

export interface StatusOptions extends CommonOptions {
  /** Also what each place holds: that lists every object. */
  readonly sizes?: boolean | undefined;
  /** How long each copy may take, in milliseconds. */
  readonly deadlineMs?: number | undefined;
}

export interface StatusResult extends Outcome {
  readonly repository: { readonly id: string; readonly location: string };
  readonly checked_at: string;
  /** The critical first; empty when all is well. */
  readonly amiss: readonly Amiss[];
  readonly sources: readonly SourceStatus[];
  /** The primary first. */
  readonly places: readonly PlaceStatus[];
  readonly verification: LastVerification | null;
  /** The newest five, the newest first. */
  readonly recent: readonly BackupView[];
}

const recentShown = 5;

/**
 * How backups stand. Not ok when something is amiss: `status_critical` when it would be missed in a disaster, else
 * `status_warning`. A copy that cannot be reached is a line of the answer.
 */
export async function status(options: StatusOptions, context: AppContext): Promise<StatusResult> {
  return withApp(options, context, null, async (app) => {
    const { repository, instead } = await openForReading(app);
    await using _repository = repository;
    const { signal } = app;
    const wish = {
      repository,
      sizes: options.sizes === true,
      deadlineMs: options.deadlineMs ?? placeDeadlineMs,
    };
    const names = await repository.names({ signal });
    const primaryNames = instead === undefined ? names : null;
    const primary = primaryPlace(app);
    const [newest, verification, ...places] = await Promise.all([
      newestBackups(app, repository, names),
      lastVerification(repository, signal),
      instead === undefined ? primaryStatus(app, primary, wish) : unreachable(primary, true, instead.of),
      ...copyPlaces(app).map((place) => copyStatus(app, place, primaryNames, wish)),
    ]);
    const priced = places.map((place) => ({ ...place, cost: costOf(app, place, names, newest.manifests) }));
    const sources = await sourcesStatus(app, repository, newest);
    const amiss = amissIn({ sources, places, verification, unreadable: newest.unreadable });
    const recent = newest.manifests.toSorted((a, b) => b.started_at.localeCompare(a.started_at));
    return {
      ...verdict(amiss),
      repository: { id: repository.info.id, location: repository.storage.location },
      checked_at: new Date(app.machine.clock.now()).toISOString(),
      amiss,
      sources,
      places: priced,
      verification,
      recent: recent.slice(0, recentShown).map(backupView),
    };
  });
}

/** Not every manifest was read: those that were stand for all. */
function costOf(
  app: App,
  { location, sizes }: PlaceStatus,
  names: readonly BackupName[],
  manifests: readonly Manifest[],
): CostEstimate | null {
  if (sizes === null) return null;
  const { length } = recent(names, app.machine.clock.now());
  const added = manifests.reduce((sum, { stats }) => sum + stats.bytes_added, 0);
  return placeCost(app, location, {
    packBytes: sizes.pack_bytes,
    otherBytes: sizes.bytes - sizes.pack_bytes,
    packs: sizes.packs,
    backups: length,
    bytesAdded: (added / Math.max(1, manifests.length)) * length,
  });
}

function verdict(amiss: readonly Amiss[]): Outcome {
  const [first] = amiss;
  if (first === undefined) return { schema: 1, ok: true };
  const parameters = {
    count: amiss.length === 1 ? '1 thing is' : `${amiss.length} things are`,
    first: first.message,
    next: first.hint,
  };
  const error =
    first.level === 'critical'
      ? failure('status_critical', parameters)
      : failure('status_warning', parameters);
  return { schema: 1, ok: false, error: error.toJSON() };
}
