import type { Manifest } from '../../contract/manifest.ts';
import { failure, isFailure, reasonOf } from '../../kernel/errors/failure.ts';
import type { IndexCache } from '../../repository/index-cache.ts';
import { encodeIndex, type IndexedPack } from '../../repository/index-object.ts';
import { indexObject, packObject } from '../../repository/layout.ts';
import { readManifestWithHash } from '../../repository/manifests.ts';
import type { BackupName } from '../../repository/model.ts';
import type { Repository } from '../../repository/repository.ts';
import type { OperationContext } from '../contract.ts';
import { clusterBackup } from '../recovery/backups.ts';
import { doomedWal, type NeededWal } from '../wal/doomed.ts';
import { copyOne, type CopyContext } from './copy.ts';
import { packsLacking } from './lacking.ts';
import { Relying } from './relying.ts';

/** Packs copied before the backups that need them are made visible together, at most. */
const packsInBatch = 512;
const backupsInBatch = 64;
const packsAtOnce = 4;

export interface CopyingOptions extends Pick<OperationContext, 'signal' | 'log' | 'progress'> {
  readonly from: Repository;
  readonly copy: Repository;
  /** Of packs. */
  readonly context: CopyContext;
  /** Told of indexes, manifests, and what was stored anew, by their size. */
  readonly stored: (bytes: number) => void;
  /** Told of backups that are visible now, by id. */
  readonly copied: (id: string) => void;
  readonly problem: (object: string, error: unknown) => void;
}

interface Waiting {
  readonly name: BackupName;
  readonly bytes: Uint8Array;
  readonly id: string;
  /** What it is nothing without, when it is of a cluster. */
  readonly wal: readonly NeededWal[];
}

interface Batch {
  readonly backups: Waiting[];
  packs: number;
}

/** Copies backups, the oldest first, and makes each visible when all that it needs is there. */
export async function copyBackups(wanted: readonly BackupName[], options: CopyingOptions): Promise<void> {
  if (wanted.length === 0) return;
  const { signal, log } = options;
  const done = new Set<string>();
  const copied = (id: string): void => {
    done.add(id);
    options.copied(id);
  };
  const copying = new CopyingBackups({ ...options, copied });
  try {
    await copying.run(wanted, false);
  } catch (error) {
    signal.throwIfAborted();
    if (!isFailure(error, 'pack_doomed')) throw error;
    log.info('what is about to be removed from the copy is stored there anew', { reason: error.message });
    await copying.run(
      wanted.filter(({ id }) => !done.has(id)),
      true,
    );
  }
}

class CopyingBackups {
  readonly #options: CopyingOptions;
  /** Packs that cannot be copied, and why. */
  readonly #unusable = new Map<string, Error>();
  readonly #told = new Set<string>();

  constructor(options: CopyingOptions) {
    this.#options = options;
  }

  /** With `anew` nothing is relied on that is marked in the copy. `pack_doomed`. */
  async run(wanted: readonly BackupName[], anew: boolean): Promise<void> {
    const { signal, progress, from, copy } = this.#options;
    progress.phase('looking what is there');
    await from.freshCache(0, signal);
    const cache = await copy.freshCache(0, signal);
    await using relying = await Relying.begin(from, copy, anew, signal);
    cache.beginWalk();
    let batch: Batch = { backups: [], packs: 0 };
    for (const name of wanted) {
      progress.phase(`copying backup ${name.id.slice(0, 8)}`);
      batch.packs += await this.#copyBackup(name, relying, cache, batch);
      if (batch.packs < packsInBatch && batch.backups.length < backupsInBatch) continue;
      await this.#publish(relying, batch);
      batch = { backups: [], packs: 0 };
    }
    await this.#publish(relying, batch);
  }

  /** Copies what a backup needs; then it waits in the batch to become visible. Resolves with the packs copied. */
  async #copyBackup(name: BackupName, relying: Relying, cache: IndexCache, batch: Batch): Promise<number> {
    const { signal, from } = this.#options;
    const { storage, pipelineKeys } = from;
    try {
      const { manifest } = await readManifestWithHash(storage, pipelineKeys, name, signal);
      const packs = await this.#copyAllOf(manifest, relying, cache);
      const wal = await this.#assertWal(manifest);
      const bytes = await storage.get(name.objectName, { signal });
      batch.backups.push({ name, bytes, id: manifest.id, wal });
      return packs;
    } catch (error) {
      signal.throwIfAborted();
      if (isFailure(error, 'backup_unknown')) return 0; // forgotten since it was listed
      if (!isFailure(error) || !['integrity', 'not_found', 'conflict'].includes(error.kind)) throw error;
      if (isFailure(error, 'pack_doomed') || isFailure(error, 'pack_lost')) throw error;
      this.#tellOfPack(error);
      this.#tellIncomplete(name, reasonOf(error), error);
      // What it needs was not seen to the end: the next backups must not take that for seen.
      cache.beginWalk();
      return 0;
    }
  }

  /** Where a pack cannot be copied another one that has the same is, until all is there. Throws when none is good. */
  async #copyAllOf(manifest: Manifest, relying: Relying, cache: IndexCache): Promise<number> {
    const { signal, from, log } = this.#options;
    let copied = 0;
    for (;;) {
      const { rely, anew } = relying;
      const context = { from, rely, visited: cache, unusable: this.#unusable, anew, signal };
      const packs = await packsLacking(context, manifest);
      const before = this.#unusable.size;
      await this.#copyPacks(packs, relying, cache);
      const lost = this.#unusable.size - before;
      copied += packs.size - lost;
      if (lost === 0) return copied;
      log.warn('packs cannot be copied; others that have the same are looked for', { packs: lost });
      cache.beginWalk();
    }
  }

  /** A pack that is damaged is a problem once, and only when it is needed. */
  #tellOfPack(error: Error): void {
    for (const [id, reason] of this.#unusable) {
      if (reason !== error || this.#told.has(id)) continue;
      this.#told.add(id);
      if (!isFailure(error, 'object_missing')) this.#options.problem(packObject(id), error);
    }
  }

  async #copyPacks(packs: ReadonlyMap<string, number>, relying: Relying, cache: IndexCache): Promise<void> {
    const { signal, progress, from, context } = this.#options;
    const known = await from.cache(signal);
    const told: IndexedPack[] = [];
    progress.total([...packs.values()].reduce((sum, bytes) => sum + bytes, 0));
    const next = packs[Symbol.iterator]();
    const lane = async (): Promise<void> => {
      for (const [id, sizeBytes] of next) {
        await relying.tick();
        const name = packObject(id);
        let why: Error = failure('object_missing', { name, location: from.storage.location });
        const telling = { ...context, problem: (_name: string, error: Error) => (why = error) };
        const isThere = await copyOne(telling, { name, sizeBytes, modifiedAtMs: 0 });
        const contents = known.packContents(id);
        if (isThere && contents !== undefined) told.push(contents);
        else this.#unusable.set(id, why);
        progress.advance(sizeBytes);
      }
    };
    const lanes = Array.from({ length: packsAtOnce }, lane);
    try {
      await Promise.all(lanes);
    } finally {
      await Promise.allSettled(lanes);
      if (told.length > 0 && !signal.aborted) await this.#tell(told, cache);
    }
  }

  /** Writes an index of packs that are in the copy now. */
  async #tell(packs: readonly IndexedPack[], cache: IndexCache): Promise<void> {
    const { copy, signal, stored } = this.#options;
    const { id, bytes } = encodeIndex(copy.pipelineKeys, packs);
    await copy.storage.put(indexObject(id), bytes, { signal });
    stored(bytes.length);
    cache.transaction(() => cache.add(indexObject(id), packs));
    for (const pack of packs) cache.stored(pack.id, pack.sizeBytes);
  }

  #tellIncomplete(name: BackupName, reason: string, cause?: unknown): void {
    const { copy, problem } = this.#options;
    const facts = { id: name.id, location: copy.storage.location, reason };
    problem(name.objectName, failure('copy_incomplete', facts, { cause }));
  }

  /** A backup of a cluster is nothing without the WAL that was written while it was made: what that is, and it is there. */
  async #assertWal(manifest: Manifest): Promise<readonly NeededWal[]> {
    const backup = clusterBackup(manifest);
    if (backup === undefined) return [];
    const { timeline, start, stop, metadata } = backup;
    const { signal, copy } = this.#options;
    const archive = await copy.findWalArchive(metadata.wal_archive, { signal });
    const runs = (await archive?.runs(timeline, { from: start, to: stop }, { signal })) ?? [];
    if (runs.some((run) => run.start <= start && run.end >= stop))
      return [{ archive: metadata.wal_archive, timeline, start, stop }];
    const { location } = copy.storage;
    throw failure('object_missing', { name: `the WAL of backup ${manifest.id}`, location });
  }

  /** Makes backups visible, oldest first, once it is sure that all they need is there and stays. */
  async #publish(relying: Relying, { backups }: Batch): Promise<void> {
    if (backups.length === 0) return;
    const { signal, copy, stored, copied } = this.#options;
    const bytesAnew = await relying.settle();
    if (bytesAnew > 0) stored(bytesAnew);
    for (const { name, bytes, id, wal } of backups) {
      await copy.storage.put(name.objectName, bytes, { signal });
      if (await this.#isTakenBack(name, wal)) continue;
      stored(bytes.length);
      copied(id);
    }
  }

  /** Nothing announces WAL: a prune of the copy that has not seen this backup may be about to remove what it needs. */
  async #isTakenBack(name: BackupName, wal: readonly NeededWal[]): Promise<boolean> {
    if (wal.length === 0) return false;
    const { copy } = this.#options;
    // Not abortable: the manifest must not stay when it cannot be kept.
    const doomed = await doomedWal(copy, wal);
    if (doomed === undefined) return false;
    await copy.storage.delete(name.objectName);
    const reason = `a prune is about to remove WAL that it needs, ${doomed.from ?? 'from the beginning'} to ${doomed.to ?? 'the end'}; the sync after it copies that again`;
    this.#tellIncomplete(name, reason);
    return true;
  }
}
