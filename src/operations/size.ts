import type { Manifest } from '../contract/manifest.ts';
import { isFailure } from '../kernel/errors/failure.ts';
import { blobTypes } from '../pipeline/blob.ts';
import { recordHeaderBytes } from '../pipeline/pack-format.ts';
import type { IndexCache } from '../repository/index-cache.ts';
import { configObject, indexPrefix, keysPrefix, snapshotsPrefix } from '../repository/layout.ts';
import type { BackupName } from '../repository/model.ts';
import type { Repository } from '../repository/repository.ts';
import { type BlobFacts, UsageTable, type UsageTotals, usageFailure } from '../repository/usage.ts';
import type { OperationContext } from './contract.ts';
import { figuresOf, sharesOf, type BackupSize, type RepositorySize, type SourceSize } from './size-report.ts';
import { UsageWalk } from './size-walk.ts';
import { walSizes, type WalSizes } from './size-wal.ts';

/** A backup that is there and of which no figures can be had. */
export interface Unreadable {
  readonly name: BackupName;
  readonly error: Error;
}

export interface SizeReport {
  /** In the order of their names. */
  readonly sources: readonly SourceSize[];
  /** Oldest first. */
  readonly backups: readonly BackupSize[];
  readonly repository: RepositorySize;
  /** Those whose manifest or list of entries is damaged. */
  readonly unreadable: readonly Unreadable[];
}

interface NamedManifest {
  readonly name: BackupName;
  /** Without what is large in some of them and not needed here. */
  readonly manifest: Manifest;
}

export interface FoundBackups {
  /** Oldest first. */
  readonly found: readonly NamedManifest[];
  readonly unreadable: readonly Unreadable[];
}

/** Reads every manifest. What is damaged is in the answer, not thrown. */
export async function readBackups(repository: Repository, signal: AbortSignal): Promise<FoundBackups> {
  const found: NamedManifest[] = [];
  const unreadable: Unreadable[] = [];
  for (const name of await repository.names({ signal })) {
    try {
      const manifest = await repository.manifest(name, { signal });
      found.push({ name, manifest: { ...manifest, metadata: {}, warnings: [], previous: [] } });
    } catch (error) {
      if (isFailure(error, 'backup_unknown')) continue; // removed since it was listed
      if (!isFailure(error, 'object_damaged')) throw error;
      unreadable.push({ name, error });
    }
  }
  return { found, unreadable };
}

/**
 * What the backups take, together and each. Reads lists of entries and maps, no data. Memory does not grow with the
 * number of chunks; the time goes with what changed from one backup of a source to the next. `usage_failed`.
 */
export async function measureSize(
  repository: Repository,
  backups: FoundBackups,
  context: Pick<OperationContext, 'signal' | 'progress'>,
): Promise<SizeReport> {
  try {
    return await measure(repository, backups, context);
  } catch (error) {
    throw usageFailure(error);
  }
}

async function measure(
  repository: Repository,
  { found, unreadable }: FoundBackups,
  { signal, progress }: Pick<OperationContext, 'signal' | 'progress'>,
): Promise<SizeReport> {
  const cache = await repository.cache(signal);
  using table = new UsageTable((id) => factsOf(cache, id));
  const walk = new UsageWalk(repository, await repository.reader(signal), table, signal);
  const sums = new SumsPerBackup();
  const lost: Unreadable[] = [];
  const bySource = Map.groupBy(found, ({ manifest }) => manifest.source.name);
  for (const [source, named] of [...bySource].toSorted(([a], [b]) => (a < b ? -1 : 1))) {
    table.beginSource();
    for (const [index, { name, manifest }] of named.entries()) {
      progress.phase(`${source}: backup ${index + 1} of ${named.length}`);
      const number = table.beginBackup();
      const bytes = await walk.backup(manifest);
      if (typeof bytes === 'number') sums.backup(number, manifest, bytes, table.ofBackup());
      else lost.push({ name, error: bytes });
    }
    sums.source(source, named.length, table.ofSource());
  }
  progress.phase('adding up');
  const wal = await walSizes(repository, signal);
  const sequence = new Map(found.map(({ name }, index) => [name.id as string, index]));
  const backups = sums.backups(new Map(table.ownOfBackups()));
  return {
    sources: withWal(sums.sources(new Map(table.ownOfSources())), wal),
    backups: backups.toSorted((a, b) => (sequence.get(a.id) ?? 0) - (sequence.get(b.id) ?? 0)),
    repository: await repositorySize(
      repository,
      found.length,
      sums.bytes,
      { totals: table.overall(), wal },
      signal,
    ),
    unreadable: [...unreadable, ...lost],
  };
}

/** Sums as they come, by the numbers the table gives; what is a backup's own is known only in the end. */
class SumsPerBackup {
  bytes = 0;
  #bytesOfSource = 0;
  readonly #backups: { number: number; manifest: Manifest; bytes: number; totals: UsageTotals }[] = [];
  readonly #sources: { name: string; backups: number; bytes: number; totals: UsageTotals }[] = [];

  backup(number: number, manifest: Manifest, bytes: number, totals: UsageTotals): void {
    this.#backups.push({ number, manifest, bytes, totals });
    this.#bytesOfSource += bytes;
    this.bytes += bytes;
  }

  source(name: string, backups: number, totals: UsageTotals): void {
    this.#sources.push({ name, backups, bytes: this.#bytesOfSource, totals });
    this.#bytesOfSource = 0;
  }

  backups(own: ReadonlyMap<number, number>): BackupSize[] {
    return this.#backups.map(({ number, manifest: { id, source, started_at }, bytes, totals }) => ({
      id,
      source: source.name,
      kind: source.kind,
      started_at,
      ...figuresOf(bytes, totals),
      ...sharesOf(totals.storedBytes, own.get(number) ?? 0),
    }));
  }

  sources(own: ReadonlyMap<number, number>): Omit<SourceSize, 'wal_bytes'>[] {
    return this.#sources.map(({ name, backups, bytes, totals }, number) => ({
      source: name,
      backups,
      ...figuresOf(bytes, totals),
      ...sharesOf(totals.storedBytes, own.get(number) ?? 0),
    }));
  }
}

/** Sources that have WAL and no backup are in it, too. */
function withWal(sources: readonly Omit<SourceSize, 'wal_bytes'>[], { bySource }: WalSizes): SourceSize[] {
  const withBackups = new Set(sources.map(({ source }) => source));
  const others = [...bySource.keys()].filter((source) => !withBackups.has(source));
  const none = { uniqueBytes: 0, uniqueStoredBytes: 0, storedBytes: 0, missing: 0 };
  return [
    ...sources,
    ...others.map((source) => ({ source, backups: 0, ...figuresOf(0, none), ...sharesOf(0, 0) })),
  ]
    .map((one) => ({ ...one, wal_bytes: bySource.get(one.source) ?? 0 }))
    .toSorted((a, b) => (a.source < b.source ? -1 : 1));
}

function factsOf(cache: IndexCache, id: Uint8Array): BlobFacts | undefined {
  const found = cache.locate(id);
  if (found?.present !== true) return undefined;
  return {
    isData: found.type === blobTypes.data,
    rawBytes: found.rawLength,
    storedBytes: recordHeaderBytes + found.storedLength,
  };
}

async function repositorySize(
  repository: Repository,
  backups: number,
  bytes: number,
  { totals, wal }: { readonly totals: UsageTotals; readonly wal: WalSizes },
  signal: AbortSignal,
): Promise<RepositorySize> {
  const { packs, packBytes, recordBytes } = (await repository.cache(signal)).listedTotals();
  const sum = async (prefix: string): Promise<number> => {
    let size = 0;
    for await (const { sizeBytes } of repository.storage.list(prefix, { signal })) size += sizeBytes;
    return size;
  };
  const [index, manifest, key] = [await sum(indexPrefix), await sum(snapshotsPrefix), await sum(keysPrefix)];
  const { sizeBytes: config } = await repository.storage.stat(configObject, { signal });
  return {
    ...figuresOf(bytes, totals),
    backups,
    packs,
    pack_bytes: packBytes,
    index_bytes: index,
    manifest_bytes: manifest,
    key_bytes: key,
    wal_bytes: wal.total,
    total_bytes: packBytes + index + manifest + key + config + wal.total,
    unused_bytes: recordBytes - totals.storedBytes,
  };
}
