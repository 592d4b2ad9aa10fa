import { readFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { ClusterSourceConfig } from '../../contract/config-source-cluster.ts';
import { failure, type HoldfastError, isFailure, reasonOf } from '../../kernel/errors/failure.ts';
import { parseWalFileName, type WalFileName } from '../../postgres/wal/names.ts';
import { readRepositoryInfo } from '../../repository/info.ts';
import type { Repository } from '../../repository/repository.ts';
import type { WalArchive } from '../../repository/wal/model.ts';
import { openPlace, type App } from '../compose.ts';
import { unknownSource } from '../unknown-source.ts';

/** A configured cluster whose WAL is meant. */
export interface ClusterSource {
  readonly name: string;
  /** Undefined when the settings do not have it: recoveries run where there may be none. */
  readonly config: ClusterSourceConfig | undefined;
}

/** The source that `--source` names, or the only one there is. `wal_source_unclear`, `source_unknown`. */
export function clusterSource(app: App, named: string | undefined): ClusterSource {
  const clusters = Object.entries(app.config.sources).flatMap(([name, config]) =>
    config.type === 'postgres-cluster' ? [{ name, config }] : [],
  );
  if (named !== undefined) {
    const found = clusters.find(({ name }) => name === named);
    if (found !== undefined) return found;
    const config = app.config.sources[named];
    if (config === undefined) return { name: named, config: undefined };
    const reason = `${named} is a source of type ${config.type}`;
    throw failure('wal_source_unclear', { reason, example: clusters[0]?.name ?? 'NAME' });
  }
  const [only, second] = clusters;
  if (only !== undefined && second === undefined) return only;
  const names = clusters.map(({ name }) => name).join(', ');
  const reason =
    second === undefined
      ? 'the settings have no source of type postgres-cluster'
      : `the settings have several sources of type postgres-cluster: ${names}`;
  throw failure('wal_source_unclear', { reason, example: only?.name ?? 'main' });
}

/** The same, and it has to be in the settings. */
export function configuredCluster(
  app: App,
  named: string | undefined,
): Required<ClusterSource> & { config: ClusterSourceConfig } {
  const { name, config } = clusterSource(app, named);
  if (config === undefined) throw unknownSource(name, Object.keys(app.config.sources));
  return { name, config };
}

/** What a name of a file in `pg_wal` says. `wal_file_name`. */
export function walFileName(name: string): WalFileName {
  const parsed = parseWalFileName(name);
  if (parsed === undefined) throw failure('wal_file_name', { name });
  return parsed;
}

/** What the data directory around a file of `pg_wal` says about its cluster. */
export interface ClusterIdentity {
  readonly systemIdentifier: string;
  readonly postgresMajor: number;
}

/**
 * Of the data directory in whose `pg_wal` that path lies, as PostgreSQL hands it over: relative, in its data directory.
 * Undefined when it is no data directory.
 */
export async function identityAround(path: string): Promise<ClusterIdentity | undefined> {
  const directory = join(dirname(path), '..');
  try {
    const [control, version] = await Promise.all([
      readFile(join(directory, 'global', 'pg_control')),
      readFile(join(directory, 'PG_VERSION'), 'utf8'),
    ]);
    // The first field of pg_control in every version (src/include/catalog/pg_control.h).
    return {
      systemIdentifier: String(control.readBigUInt64LE(0)),
      postgresMajor: Number.parseInt(version, 10),
    };
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ENOTDIR') return undefined;
    throw failure('wal_cluster_unknown', { reason: reasonOf(error) }, { cause: error });
  }
}

/**
 * The archive of a source to read from: that of the cluster, else the only one the source has. `wal_cluster_unknown`;
 * undefined when there is none.
 */
export async function archiveOf(
  repository: Repository,
  source: string,
  identity: Pick<ClusterIdentity, 'systemIdentifier'> | undefined,
  signal: AbortSignal,
): Promise<WalArchive | undefined> {
  const found: WalArchive[] = [];
  let damage: HoldfastError | undefined;
  for await (const id of repository.walArchiveIds({ signal })) {
    const archive = await repository.findWalArchive(id, { signal }).catch((error: unknown) => {
      // It may be that of another cluster, which is nobody's business here.
      if (!isFailure(error, 'object_damaged')) throw error;
      damage = error;
    });
    if (archive?.info.source !== source) continue;
    if (identity === undefined || archive.info.system_identifier === identity.systemIdentifier)
      found.push(archive);
  }
  const [only, second] = found;
  if (only === undefined && damage !== undefined) throw damage;
  if (second === undefined) return only;
  const reason = `${source} has WAL of ${found.length} clusters, and there is no data directory around`;
  throw failure('wal_cluster_unknown', { reason });
}

/** The id of the repository, without opening it, which takes longer. `repository_missing`. */
export async function idOfRepository(app: App): Promise<string> {
  const storage = await openPlace(app, { create: false });
  try {
    const info = await readRepositoryInfo(storage);
    if (info === null) throw failure('repository_missing', { location: storage.location });
    return info.id;
  } finally {
    await storage.close();
  }
}
