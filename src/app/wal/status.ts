import { failure, isFailure, type HoldfastError } from '../../kernel/errors/failure.ts';
import { ArchiveView } from '../../operations/recovery/archive-view.ts';
import { clusterBackups, clusterKind } from '../../operations/recovery/backups.ts';
import type { WalStatus as ArchiveStatus } from '../../operations/recovery/status-model.ts';
import { walStatus as statusOfArchive } from '../../operations/recovery/status.ts';
import { parseLsn } from '../../postgres/lsn.ts';
import type { Repository } from '../../repository/repository.ts';
import type { WalArchive } from '../../repository/wal/model.ts';
import {
  openConfiguredRepository,
  withApp,
  type App,
  type AppContext,
  type CommonOptions,
  type Outcome,
} from '../compose.ts';
import { connectionOf } from '../kinds/postgres-source.ts';
import { unknownSource } from '../unknown-source.ts';
import { manifestsOf } from '../recovery.ts';
import { askServerWal, type ServerWal } from './server-status.ts';
import { slotOf } from './slot.ts';
import { whatIsWrong } from './status-verdict.ts';

export interface WalStatusOptions extends CommonOptions {
  /** Only of this one. */
  readonly source?: string | undefined;
}

/** The server beside its archive. */
export interface ServerStatus extends ServerWal {
  /** WAL of the server that is not in the repository; null while nothing of its timeline is. */
  readonly lag_bytes: number | null;
  /** Since something was stored last; 0 when nothing is missing. */
  readonly lag_seconds: number | null;
  /** More is waiting than `wal_waiting_limit`. */
  readonly over_limit: boolean;
}

export interface SourceWalStatus {
  readonly source: string;
  /** One for each cluster that the source ever was, that of the server first. */
  readonly archives: readonly ArchiveStatus[];
  /** Null when it was not asked: the source is not in the settings, or it did not answer. */
  readonly server: ServerStatus | null;
  /** Why it did not answer. */
  readonly server_error: Record<string, unknown> | null;
}

export interface WalStatusResult extends Outcome {
  readonly sources: readonly SourceWalStatus[];
}

/**
 * How far the WAL of clusters is stored, what can be recovered with it, and how the server stands to it. Not ok
 * when WAL is missing that a backup cannot do without, or that lies between the newest backup and now (`wal_unrecoverable`),
 * when it cannot be told where it belongs (`wal_history_unknown`), and when what the server writes is not stored (`wal_not_stored`).
 */
export async function walStatus(options: WalStatusOptions, context: AppContext): Promise<WalStatusResult> {
  return await withApp(options, context, null, async (app) => {
    await using repository = await openConfiguredRepository(app);
    const archives = await Array.fromAsync(repository.walArchives({ signal: app.signal }));
    const sources: SourceWalStatus[] = [];
    for (const source of sourcesWanted(app, archives, options.source))
      sources.push(await sourceStatus(app, repository, source, archives));
    const error = sources.map(whatIsWrong).find((found) => found !== undefined);
    return {
      schema: 1,
      ok: error === undefined,
      sources,
      ...(error === undefined ? {} : { error: error.toJSON() }),
    };
  });
}

function sourcesWanted(app: App, archives: readonly WalArchive[], only: string | undefined): string[] {
  const configured = Object.entries(app.config.sources).flatMap(([name, { type }]) =>
    type === clusterKind ? [name] : [],
  );
  const all = [...new Set([...configured, ...archives.map(({ info }) => info.source)])];
  if (only === undefined) {
    if (all.length > 0) return all;
    const reason = 'the settings have no source of type postgres-cluster, and no WAL is stored';
    throw failure('wal_source_unclear', { reason, example: 'main' });
  }
  if (!all.includes(only)) throw unknownSource(only, all);
  return [only];
}

async function sourceStatus(
  app: App,
  repository: Repository,
  source: string,
  all: readonly WalArchive[],
): Promise<SourceWalStatus> {
  const { signal } = app;
  const asked = await askServer(app, source);
  const answer = asked instanceof Error ? undefined : asked;
  const isServers = ({ info }: WalArchive): boolean => info.system_identifier === answer?.system_identifier;
  const own = all.filter(({ info }) => info.source === source);
  const archives = [...own.filter(isServers), ...own.filter((archive) => !isServers(archive))];
  const backups = clusterBackups(
    await manifestsOf(repository, { source: { name: source, kind: clusterKind } }, signal),
  );
  const states: ArchiveStatus[] = [];
  for (const archive of archives) {
    const view = await ArchiveView.of(archive, { signal });
    states.push(await statusOfArchive(view, backups, { signal }));
  }
  return {
    source,
    archives: states,
    server: answer === undefined ? null : besides(app, source, answer, states),
    server_error: asked instanceof Error ? asked.toJSON() : null,
  };
}

/** Undefined for a source that is not in the settings; the error of a server that does not answer. */
async function askServer(app: App, source: string): Promise<ServerWal | HoldfastError | undefined> {
  const config = app.config.sources[source];
  if (config?.type !== clusterKind) return undefined;
  try {
    const connection = await connectionOf(source, config, app.env);
    if (connection.password !== undefined) app.secrets.push(connection.password);
    return await askServerWal(connection, slotOf(source, config), app.signal);
  } catch (error) {
    app.signal.throwIfAborted();
    if (!isFailure(error)) throw error;
    return error;
  }
}

function besides(
  app: App,
  source: string,
  server: ServerWal,
  archives: readonly ArchiveStatus[],
): ServerStatus {
  const config = app.config.sources[source];
  const limit = config?.type === clusterKind ? config.wal_waiting_limit : Number.POSITIVE_INFINITY;
  const archive = archives.find(({ system_identifier: id }) => id === server.system_identifier);
  const lag = archive === undefined ? null : lagOf(server, archive);
  const storedAt = archive?.newest?.stored_at;
  const waited = storedAt === undefined ? null : (app.machine.clock.now() - Date.parse(storedAt)) / 1000;
  const waiting = Math.max(server.slot?.kept_bytes ?? 0, server.archiver?.waiting_bytes ?? 0);
  return {
    ...server,
    lag_bytes: lag,
    lag_seconds: lag === 0 || waited === null ? lag : Math.max(0, Math.round(waited)),
    over_limit: waiting > limit,
  };
}

/** From the end of what is stored of the server's very timeline: of one that it came from, nothing of it may be. */
function lagOf(server: ServerWal, { timelines }: ArchiveStatus): number | null {
  const end = timelines.find(({ timeline }) => timeline === server.timeline)?.to;
  const at = parseLsn(server.lsn);
  const stored = parseLsn(end ?? '');
  if (at === undefined || stored === undefined) return null;
  return at > stored ? Number(at - stored) : 0;
}
