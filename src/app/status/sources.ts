import type { Manifest } from '../../contract/manifest.ts';
import { failure, isFailure, type HoldfastError } from '../../kernel/errors/failure.ts';
import { ArchiveView } from '../../operations/recovery/archive-view.ts';
import { clusterBackups, clusterKind, type ClusterBackup } from '../../operations/recovery/backups.ts';
import type { WalStatus, WindowStatus } from '../../operations/recovery/status-model.ts';
import { walStatus } from '../../operations/recovery/status.ts';
import { importedTag } from '../../repository/find-backup.ts';
import type { BackupName } from '../../repository/model.ts';
import type { Repository } from '../../repository/repository.ts';
import { backupView, type BackupView } from '../backup-view.ts';
import type { App } from '../compose.ts';
import { manifestsOf } from '../recovery.ts';
import { whatIsWrong } from '../wal/status-verdict.ts';

/** Manifests are read from the newest on, so many at once, until every source has its good backup; at least and at most so many. */
const atOnce = 8;
const readAtLeast = 24;
const readAtMost = 400;

/** How the WAL of a cluster stands, by what is stored; its server is not asked. */
export interface WalHealth {
  /** What can be recovered to, the newest last. */
  readonly windows: readonly WindowStatus[];
  /** When the newest of it was stored; null when there is none. */
  readonly stored_at: string | null;
  readonly gaps: number;
  /** What is wrong with it; null when nothing is. */
  readonly error: Record<string, unknown> | null;
}

export interface SourceStatus {
  readonly source: string;
  readonly kind: string;
  /** False for one that has backups and is in the settings no longer. */
  readonly configured: boolean;
  /** The newest in which nothing is missing, and that was not imported; null when there is none among the newest few hundred of all. */
  readonly last_good: BackupView | null;
  /** The newest, where that is incomplete. */
  readonly incomplete: { readonly id: string; readonly started_at: string; readonly reason: string } | null;
  /** Since the last good one began; null without one. */
  readonly age_seconds: number | null;
  /** As the settings say (`max_age`); null where they do not. */
  readonly max_age_seconds: number | null;
  /** When the next good one must have begun; null where nothing says so. */
  readonly expected_before: string | null;
  readonly late: boolean;
  /** Null for anything but a cluster. */
  readonly wal: WalHealth | null;
}

export interface NewestBackups {
  /** The newest first. */
  readonly manifests: readonly Manifest[];
  /** Of those that were looked at. */
  readonly unreadable: readonly string[];
}

/** The newest backups, as many as it takes to see one good backup of each configured source. */
export async function newestBackups(
  app: App,
  repository: Repository,
  names: readonly BackupName[],
): Promise<NewestBackups> {
  const lacking = new Set(Object.keys(app.config.sources));
  const manifests: Manifest[] = [];
  const unreadable: string[] = [];
  const newestFirst = names.toReversed().slice(0, readAtMost);
  for (let at = 0; at < newestFirst.length && (at < readAtLeast || lacking.size > 0); at += atOnce) {
    const batch = newestFirst.slice(at, at + atOnce);
    const read = await Promise.all(batch.map((name) => readable(repository, name, app.signal)));
    for (const manifest of read) {
      if (typeof manifest === 'string') unreadable.push(manifest);
      else if (manifest !== undefined) manifests.push(manifest);
      if (typeof manifest === 'object' && isGood(manifest)) lacking.delete(manifest.source.name);
    }
  }
  return { manifests, unreadable };
}

/** The id of one that is damaged; undefined of one that is gone by now. */
async function readable(
  repository: Repository,
  name: BackupName,
  signal: AbortSignal,
): Promise<Manifest | string | undefined> {
  try {
    return await repository.manifest(name, { signal });
  } catch (error) {
    if (isFailure(error, 'backup_unknown')) return undefined;
    if (!isFailure(error, 'object_damaged')) throw error;
    return name.id;
  }
}

/** Nothing is missing in it, and it is of what the source was then: an import is of something older. */
function isGood({ incomplete, tags }: Manifest): boolean {
  return incomplete === undefined && !Object.hasOwn(tags, importedTag);
}

/** Those of the settings in their order, then others that have backups. */
export async function sourcesStatus(
  app: App,
  repository: Repository,
  { manifests }: NewestBackups,
): Promise<SourceStatus[]> {
  const configured = Object.keys(app.config.sources);
  const all = new Set([...configured, ...manifests.map(({ source }) => source.name)]);
  const statuses: SourceStatus[] = [];
  for (const source of all) {
    const own = manifests.filter((manifest) => manifest.source.name === source);
    const kind = app.config.sources[source]?.type ?? own[0]?.source.kind ?? '';
    const wal = kind === clusterKind ? await walHealth(repository, source, app.signal) : null;
    statuses.push({ ...sourceStatus(app, source, own), kind, wal });
  }
  return statuses;
}

function sourceStatus(
  { config, machine }: App,
  source: string,
  own: readonly Manifest[],
): Omit<SourceStatus, 'kind' | 'wal'> {
  const newestFirst = own.toSorted((a, b) => b.started_at.localeCompare(a.started_at));
  const good = newestFirst.find(isGood);
  const [newest] = newestFirst;
  const settings = config.sources[source];
  const maxAgeMs = settings === undefined ? undefined : (settings.max_age ?? config.verify.max_age);
  const nowMs = machine.clock.now();
  const startedMs = good === undefined ? undefined : Date.parse(good.started_at);
  const expectedMs = startedMs === undefined || maxAgeMs === undefined ? undefined : startedMs + maxAgeMs;
  return {
    source,
    configured: settings !== undefined,
    last_good: good === undefined ? null : backupView(good),
    incomplete:
      newest?.incomplete === undefined
        ? null
        : { id: newest.id, started_at: newest.started_at, reason: newest.incomplete },
    age_seconds: startedMs === undefined ? null : Math.max(0, Math.round((nowMs - startedMs) / 1000)),
    max_age_seconds: maxAgeMs === undefined ? null : maxAgeMs / 1000,
    expected_before: expectedMs === undefined ? null : new Date(expectedMs).toISOString(),
    late: expectedMs !== undefined && nowMs > expectedMs,
  };
}

async function walHealth(repository: Repository, source: string, signal: AbortSignal): Promise<WalHealth> {
  const manifests = await manifestsOf(repository, { source: { name: source, kind: clusterKind } }, signal);
  const backups = clusterBackups(manifests);
  const archives: WalStatus[] = [];
  for await (const archive of repository.walArchives({ signal })) {
    if (archive.info.source !== source) continue;
    archives.push(await walStatus(await ArchiveView.of(archive, { signal }), backups, { signal }));
  }
  const stored = archives.flatMap(({ newest }) => (newest === null ? [] : [newest.stored_at]));
  return {
    windows: archives.flatMap(({ windows }) => windows),
    stored_at: stored.toSorted((a, b) => a.localeCompare(b)).at(-1) ?? null,
    gaps: archives.flatMap(({ timelines }) => timelines.flatMap(({ gaps }) => gaps)).length,
    error: wrongWith(source, archives, backups)?.toJSON() ?? null,
  };
}

/** A backup whose archive is gone altogether is in the status of none. */
function wrongWith(
  source: string,
  archives: readonly WalStatus[],
  [newest]: readonly ClusterBackup[],
): HoldfastError | undefined {
  const isJudged = archives.some(({ backups }) => backups.some(({ id }) => id === newest?.id));
  if (newest !== undefined && !isJudged) return failure('wal_unrecoverable', { source, count: '1 backup' });
  return whatIsWrong({ source, archives, server: null });
}
