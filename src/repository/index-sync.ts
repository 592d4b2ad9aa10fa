import { failure, isFailure, reasonOf } from '../kernel/errors/failure.ts';
import type { Logger } from '../kernel/log.ts';
import { isAgent, type PipelineKeys } from '../pipeline/keys.ts';
import type { Storage } from '../storage/port.ts';
import type { IndexCache } from './index-cache.ts';
import { decodeIndex, type IndexedPack } from './index-object.ts';
import { indexPrefix, packIdOf, packObject, packsPrefix } from './layout.ts';
import { indexFromPack } from './pack-recovery.ts';

export interface IndexProblem {
  readonly object: string;
  readonly error: Error;
}

/** Packs whose footers are read one by one are added to the cache in groups of this many. */
const recoveryGroup = 64;
/** So many of them are read at once. */
const recoveredAtOnce = 8;

/**
 * Brings the cache up to date with the repository: new index objects, which packs there are, and, for packs that no
 * index tells of (a backup is running, was interrupted, or an index was lost), what they say of themselves.
 * Damaged indexes and packs are returned, not thrown: they cost nothing but the time to look elsewhere.
 * An agent, who can read neither, only sees which packs there are: it knows what it has stored itself.
 */
export async function syncIndex(
  storage: Storage,
  keys: PipelineKeys,
  cache: IndexCache,
  log: Logger,
  signal?: AbortSignal,
): Promise<readonly IndexProblem[]> {
  const problems: IndexProblem[] = [];
  if (isAgent(keys)) {
    await listPacks(storage, cache, signal);
    return problems;
  }
  await readIndexes(storage, keys, cache, problems, signal);
  await listPacks(storage, cache, signal);
  await recoverPacks(storage, keys, cache, problems, signal);
  for (const { object, error } of problems) log.warn(`passed over ${object}: ${error.message}`);
  return problems;
}

/** Notes which packs there are, and how large. */
export async function listPacks(storage: Storage, cache: IndexCache, signal?: AbortSignal): Promise<void> {
  cache.beginListing();
  for await (const { name, sizeBytes, modifiedAtMs } of storage.list(packsPrefix, { signal })) {
    const id = packIdOf(name);
    if (id !== undefined) cache.listed(id, sizeBytes, modifiedAtMs);
  }
  cache.endListing();
}

async function readIndexes(
  storage: Storage,
  keys: PipelineKeys,
  cache: IndexCache,
  problems: IndexProblem[],
  signal?: AbortSignal,
): Promise<void> {
  for await (const { name } of storage.list(indexPrefix, { signal })) {
    if (cache.hasIndex(name)) continue;
    const packs = await tolerate(name, problems, async () =>
      decodeIndex(keys, name, await storage.get(name, { signal })),
    );
    if (packs !== undefined) cache.transaction(() => cache.add(name, packs));
  }
}

async function recoverPacks(
  storage: Storage,
  keys: PipelineKeys,
  cache: IndexCache,
  problems: IndexProblem[],
  signal?: AbortSignal,
): Promise<void> {
  let group: IndexedPack[] = [];
  const store = (): void => {
    const packs = group;
    group = [];
    cache.transaction(() => cache.add(null, packs));
  };
  // Agents write no indexes: of theirs it may be many packs.
  const waiting = cache.unindexed().values();
  const lane = async (): Promise<void> => {
    for (const { id, sizeBytes } of waiting) {
      signal?.throwIfAborted();
      const pack = await tolerate(packObject(id), problems, () =>
        indexFromPack(storage, keys, id, sizeBytes, signal),
      );
      if (pack !== undefined) group.push(pack);
      if (group.length >= recoveryGroup) store();
    }
  };
  const lanes = Array.from({ length: recoveredAtOnce }, lane);
  try {
    await Promise.all(lanes);
  } finally {
    await Promise.allSettled(lanes);
  }
  if (group.length > 0) store();
}

async function tolerate<T>(
  object: string,
  problems: IndexProblem[],
  read: () => Promise<T>,
): Promise<T | undefined> {
  try {
    return await read();
  } catch (error) {
    // Removed by a prune since it was listed: what it told is told by another one, or was needed by nobody.
    if (isFailure(error, 'object_missing')) return undefined;
    if (isFailure(error, 'object_damaged')) {
      problems.push({ object, error });
      return undefined;
    }
    if (isFailure(error)) throw error;
    const reason = reasonOf(error);
    problems.push({ object, error: failure('object_damaged', { name: object, reason }, { cause: error }) });
    return undefined;
  }
}
