import { isFailure } from '../kernel/errors/failure.ts';
import { footerEntryBytes } from '../pipeline/pack-format.ts';
import { decodeIndex, encodeIndex, type IndexedPack } from './index-object.ts';
import { indexObject, indexPrefix } from './layout.ts';
import { indexFromFooter, indexFromPack } from './pack-recovery.ts';
import type { Repository } from './repository.ts';

/** Rows of a new index at most: some 3 MiB. */
const rowsAtOnce = 65_536;

export interface IndexRebuild {
  /** Packs that the new indexes tell of. */
  readonly packs: number;
  readonly written: readonly string[];
  readonly removed: readonly string[];
  /** Ids of packs of which nothing can be read. */
  readonly unreadable: readonly string[];
}

export interface RebuildOptions {
  readonly signal: AbortSignal;
  /** Told of every pack that was read. */
  readonly onPack?: ((sizeBytes: number) => void) | undefined;
}

/**
 * Writes a new set of indexes out of what the packs tell of themselves, then removes the ones that were there before.
 * Those that running backups write meanwhile stay. What a pack cannot tell of itself any more, being damaged, is taken
 * from an old index.
 */
export async function rebuildIndex(repository: Repository, options: RebuildOptions): Promise<IndexRebuild> {
  repository.assertMay('read', 'write');
  const { storage, pipelineKeys } = repository;
  const { signal } = options;
  // Before the packs are listed: what is written later is none of ours.
  const old: string[] = [];
  for await (const { name } of storage.list(indexPrefix, { signal })) old.push(name);
  const cache = await repository.freshCache(0, signal);
  const writer = new IndexWriter(repository, signal);
  const silent = new Set<string>();
  for (const { id, sizeBytes } of cache.packs('listed')) {
    signal.throwIfAborted();
    const pack = await orGone(indexFromFooter(storage, pipelineKeys, id, sizeBytes, signal));
    if (pack === undefined) silent.add(id);
    else await writer.add(pack);
    options.onPack?.(sizeBytes);
  }
  if (silent.size > 0) await addSilent(repository, old, silent, writer, signal);
  await writer.flush();
  const removed = old.filter((name) => !writer.written.includes(name));
  for (const name of removed) await storage.delete(name, { signal });
  return { packs: writer.packs, written: writer.written, removed, unreadable: [...silent] };
}

/**
 * Writes indexes for packs that none tells of. Resolves with how many packs those were: after an index was lost, and
 * also where a backup was interrupted, or is running.
 */
export async function completeIndex(repository: Repository, signal: AbortSignal): Promise<IndexRebuild> {
  const { storage, pipelineKeys } = repository;
  const cache = await repository.freshCache(0, signal);
  const writer = new IndexWriter(repository, signal);
  const silent = new Set<string>();
  for (const { id, sizeBytes } of await untold(repository, signal)) {
    const pack = await orGone(indexFromPack(storage, pipelineKeys, id, sizeBytes, signal));
    const known = cache.packContents(id);
    // What this machine knows of it from an index that is lost may be more than the pack can tell.
    const best =
      known?.sizeBytes === sizeBytes && known.entries.length > (pack?.entries.length ?? 0) ? known : pack;
    if (best === undefined) silent.add(id);
    else await writer.add(best);
  }
  await writer.flush();
  return { packs: writer.packs, written: writer.written, removed: [], unreadable: [...silent] };
}

/** Packs that are listed, and that no index object tells of which can be read. */
export async function untold(
  repository: Repository,
  signal: AbortSignal,
): Promise<readonly { readonly id: string; readonly sizeBytes: number }[]> {
  const cache = await repository.cache(signal);
  // On disk, for there may be very many.
  cache.beginWalk();
  for await (const { name } of repository.storage.list(indexPrefix, { signal }))
    for (const { id, sizeBytes } of (await readIndex(repository, name, signal)) ?? [])
      if (cache.listedBytes(id) === sizeBytes) cache.visit(Buffer.from(id, 'hex'));
  const found: { id: string; sizeBytes: number }[] = [];
  for (const pack of cache.packs('listed')) if (cache.visit(Buffer.from(pack.id, 'hex'))) found.push(pack);
  return found;
}

/** Packs with damaged footers: out of old indexes, and of the rest of them what their records say. */
async function addSilent(
  repository: Repository,
  old: readonly string[],
  silent: Set<string>,
  writer: IndexWriter,
  signal: AbortSignal,
): Promise<void> {
  const { storage, pipelineKeys } = repository;
  const cache = await repository.cache(signal);
  for (const name of old) {
    for (const pack of (await readIndex(repository, name, signal)) ?? []) {
      if (!silent.has(pack.id) || cache.listedBytes(pack.id) !== pack.sizeBytes) continue;
      await writer.add({ ...pack, entries: Uint8Array.from(pack.entries) });
      silent.delete(pack.id);
    }
  }
  for (const id of silent) {
    const sizeBytes = cache.listedBytes(id) ?? 0;
    const pack = await orGone(indexFromPack(storage, pipelineKeys, id, sizeBytes, signal));
    if (pack === undefined) continue;
    await writer.add(pack);
    silent.delete(id);
  }
}

async function readIndex(
  { storage, pipelineKeys }: Repository,
  name: string,
  signal: AbortSignal,
): Promise<readonly IndexedPack[] | undefined> {
  return await orGone(storage.get(name, { signal }).then((bytes) => decodeIndex(pipelineKeys, name, bytes)));
}

/** What `read` gives; undefined for what is gone or damaged. */
async function orGone<T>(read: Promise<T>): Promise<T | undefined> {
  try {
    return await read;
  } catch (error) {
    if (isFailure(error, 'object_damaged') || isFailure(error, 'object_missing')) return undefined;
    throw error;
  }
}

/** Gathers what packs tell into index objects of a bounded size. */
class IndexWriter {
  readonly written: string[] = [];
  packs = 0;
  readonly #repository: Repository;
  readonly #signal: AbortSignal;
  #waiting: IndexedPack[] = [];
  #rows = 0;

  constructor(repository: Repository, signal: AbortSignal) {
    this.#repository = repository;
    this.#signal = signal;
  }

  async add(pack: IndexedPack): Promise<void> {
    this.#waiting.push(pack);
    this.#rows += pack.entries.length / footerEntryBytes;
    this.packs += 1;
    if (this.#rows >= rowsAtOnce) await this.flush();
  }

  async flush(): Promise<void> {
    const packs = this.#waiting;
    this.#waiting = [];
    this.#rows = 0;
    if (packs.length === 0) return;
    const { storage, pipelineKeys } = this.#repository;
    const { id, bytes } = encodeIndex(pipelineKeys, packs);
    await storage.put(indexObject(id), bytes, { signal: this.#signal });
    this.written.push(indexObject(id));
  }
}
