import type { Manifest } from '../../contract/manifest.ts';
import { asFailure, failure, isFailure, reasonOf } from '../../kernel/errors/failure.ts';
import { readManifestWithHash } from '../../repository/manifests.ts';
import type { Reliance } from '../../repository/gc/reliance.ts';
import { pinsPrefix } from '../../repository/history/names.ts';
import type { IndexCache } from '../../repository/index-cache.ts';
import { encodeIndex, type IndexedPack } from '../../repository/index-object.ts';
import { keptConfigPrefix } from '../../repository/kept-config.ts';
import { indexObject, keysPrefix, packObject, parseWalObject, walPrefix } from '../../repository/layout.ts';
import type { BackupName } from '../../repository/model.ts';
import type { Repository } from '../../repository/repository.ts';
import type { ObjectInfo, Storage } from '../../storage/port.ts';
import type { OperationContext } from '../contract.ts';
import { clusterBackup } from '../recovery/backups.ts';
import type { KeptWal } from '../wal/unneeded.ts';
import { copyMissing, copyOne, type CopyContext } from './copy.ts';
import { packsLacking } from './lacking.ts';
import { makeCopy } from './place.ts';
import { copyRecords, onlyThere, readRecordsThere } from './records.ts';
import type { SyncReport } from './report.ts';
import { dropPartsOf, wantedWal } from './wanted-wal.ts';

/** Packs copied before the backups that need them are made visible together, at most. */
const packsInBatch = 512;
const backupsInBatch = 64;
const packsAtOnce = 4;

export interface SyncOptions extends Pick<OperationContext, 'signal' | 'log' | 'progress'> {
  /** Which WAL the copy keeps by its own window; all unless given. */
  readonly keptWal?: ((copy: Repository) => Promise<KeptWal>) | undefined;
}

/**
 * Brings a copy of a repository up to date: every backup that it lacks, with all that backup needs, checked before it is
 * written; the WAL; keys and records. A backup appears there last, when everything it needs was seen to be there. What
 * was forgotten there stays forgotten. Goes on where an earlier one ended. Closes `to`. `copy_foreign`, and what storages
 * reject with; damage is in the report.
 */
export async function syncTo(repository: Repository, to: Storage, options: SyncOptions): Promise<SyncReport> {
  const created = await makeCopy(repository, to, options.signal).catch(async (error: unknown) => {
    await to.close();
    throw error;
  });
  // An index and a listing of its own, over a storage of its own.
  await using copy = repository.elsewhere(to);
  await using from = repository.sibling();
  return await new Sync(from, copy, options, created).run();
}

interface Batch {
  readonly backups: { readonly name: BackupName; readonly bytes: Uint8Array; readonly id: string }[];
  packs: number;
}

class Sync {
  readonly #from: Repository;
  readonly #copy: Repository;
  readonly #options: SyncOptions;
  readonly #created: boolean;
  readonly #copied: string[] = [];
  readonly #problems: { object: string; code: string; message: string }[] = [];
  readonly #counts = {
    packs: { objects: 0, bytes: 0 },
    wal: { objects: 0, bytes: 0 },
    others: { objects: 0, bytes: 0 },
  };

  constructor(from: Repository, copy: Repository, options: SyncOptions, created: boolean) {
    this.#from = from;
    this.#copy = copy;
    this.#options = options;
    this.#created = created;
  }

  async run(): Promise<SyncReport> {
    const { signal, progress } = this.#options;
    progress.phase('comparing the backups');
    // The list of backups comes first: all that they need is there by then, and is listed after it.
    const names = await this.#from.names({ signal });
    await copyMissing(this.#context('others'), keysPrefix);
    const thereBefore = await this.#copy.names({ signal });
    const there = new Set<string>(thereBefore.map(({ id }) => id));
    const records = await readRecordsThere(this.#from, this.#copy, signal);
    const { own: forgotten } = records;
    const wanted = names.filter(({ id }) => !there.has(id) && !forgotten.has(id));
    progress.phase('copying the WAL');
    await this.#wal(wanted);
    await this.#backups(wanted);
    // Behind the backups, so that a record never explains away what was not there yet.
    const explained = await copyRecords(this.#from, this.#copy, records, {
      ...this.#options,
      there: new Set<string>((await this.#copy.names({ signal })).map(({ id }) => id)),
      copied: async (name) =>
        this.#count('others', (await this.#copy.storage.stat(name, { signal })).sizeBytes),
      problem: (name, error) => this.#problem(name, error),
    });
    await copyMissing(this.#context('others'), pinsPrefix);
    await copyMissing(this.#context('others'), keptConfigPrefix);
    return {
      created: this.#created,
      copied: this.#copied,
      present: names.filter(({ id }) => there.has(id)).length,
      forgotten: names.filter(({ id }) => !there.has(id) && forgotten.has(id)).length,
      only_there: await onlyThere(this.#from, thereBefore, explained, signal),
      ...this.#counts,
      problems: this.#problems,
      foreign_keys: await this.#foreignKeys(),
    };
  }

  async #wal(wanted: readonly BackupName[]): Promise<void> {
    const { signal, keptWal } = this.#options;
    const kept = (await keptWal?.(this.#copy)) ?? new Map();
    const isWanted = await wantedWal(this.#from, kept, wanted, signal);
    const parts = new Set<string>();
    const onlyThere = (name: string): void => {
      if (parseWalObject(name)?.partBytes !== undefined) parts.add(name);
    };
    await copyMissing(this.#context('wal'), walPrefix, { isWanted, onlyThere });
    await dropPartsOf(this.#copy, parts, signal);
  }

  async #backups(wanted: readonly BackupName[]): Promise<void> {
    if (wanted.length === 0) return;
    const { signal, progress } = this.#options;
    progress.phase('looking what is there');
    await this.#from.freshCache(0, signal);
    const cache = await this.#copy.freshCache(0, signal);
    const reliance = await this.#copy.beginReliance(signal);
    cache.beginWalk();
    let batch: Batch = { backups: [], packs: 0 };
    for (const name of wanted) {
      progress.phase(`copying backup ${name.id.slice(0, 8)}`);
      batch.packs += await this.#copyBackup(name, reliance, cache, batch);
      if (batch.packs < packsInBatch && batch.backups.length < backupsInBatch) continue;
      await this.#publish(reliance, batch);
      batch = { backups: [], packs: 0 };
    }
    await this.#publish(reliance, batch);
  }

  /** Copies what a backup needs; then it waits in the batch to become visible. Resolves with the packs copied. */
  async #copyBackup(name: BackupName, reliance: Reliance, cache: IndexCache, batch: Batch): Promise<number> {
    const { signal } = this.#options;
    const { storage, pipelineKeys } = this.#from;
    try {
      const { manifest } = await readManifestWithHash(storage, pipelineKeys, name, signal);
      const packs = await packsLacking(this.#from, reliance, cache, manifest, signal);
      await this.#copyPacks(packs, reliance, cache);
      await this.#assertWal(manifest);
      const bytes = await storage.get(name.objectName, { signal });
      batch.backups.push({ name, bytes, id: manifest.id });
      return packs.size;
    } catch (error) {
      signal.throwIfAborted();
      if (isFailure(error, 'backup_unknown')) return 0; // forgotten since it was listed
      if (!isFailure(error) || !['integrity', 'not_found'].includes(error.kind)) throw error;
      const { location } = this.#copy.storage;
      this.#problem(
        name.objectName,
        failure('copy_incomplete', { id: name.id, location, reason: reasonOf(error) }, { cause: error }),
      );
      // What it needs was not seen to the end: the next backups must not take that for seen.
      cache.beginWalk();
      return 0;
    }
  }

  async #copyPacks(packs: ReadonlyMap<string, number>, reliance: Reliance, cache: IndexCache): Promise<void> {
    const { signal, progress } = this.#options;
    const known = await this.#from.cache(signal);
    const context = this.#context('packs');
    const told: IndexedPack[] = [];
    progress.total([...packs.values()].reduce((sum, bytes) => sum + bytes, 0));
    const next = packs[Symbol.iterator]();
    const lane = async (): Promise<void> => {
      for (const [id, sizeBytes] of next) {
        await reliance.tick(signal);
        const isThere = await copyOne(context, { name: packObject(id), sizeBytes, modifiedAtMs: 0 });
        const contents = known.packContents(id);
        if (!isThere || contents === undefined)
          throw failure('object_missing', { name: packObject(id), location: this.#from.storage.location });
        told.push(contents);
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
    const { storage, pipelineKeys } = this.#copy;
    const { id, bytes } = encodeIndex(pipelineKeys, packs);
    await storage.put(indexObject(id), bytes, this.#options);
    this.#count('others', bytes.length);
    cache.transaction(() => cache.add(indexObject(id), packs));
    for (const pack of packs) cache.stored(pack.id, pack.sizeBytes);
  }

  /** A backup of a cluster is nothing without the WAL that was written while it was made. */
  async #assertWal(manifest: Manifest): Promise<void> {
    const backup = clusterBackup(manifest);
    if (backup === undefined) return;
    const { timeline, start, stop, metadata } = backup;
    const { signal } = this.#options;
    const archive = await this.#copy.findWalArchive(metadata.wal_archive, { signal });
    const runs = (await archive?.runs(timeline, { from: start, to: stop }, { signal })) ?? [];
    if (runs.some((run) => run.start <= start && run.end >= stop)) return;
    const { location } = this.#copy.storage;
    throw failure('object_missing', { name: `the WAL of backup ${manifest.id}`, location });
  }

  /** Makes backups visible, oldest first, once it is sure that all they need is there and stays. */
  async #publish(reliance: Reliance, { backups }: Batch): Promise<void> {
    if (backups.length === 0) return;
    const { signal } = this.#options;
    await reliance.settle(signal);
    for (const { name, bytes, id } of backups) {
      await this.#copy.storage.put(name.objectName, bytes, { signal });
      this.#count('others', bytes.length);
      this.#copied.push(id);
    }
  }

  async #foreignKeys(): Promise<string[]> {
    const { signal } = this.#options;
    const here = new Set<string>();
    for await (const { name } of this.#from.storage.list(keysPrefix, { signal })) here.add(name);
    const foreign: string[] = [];
    for await (const { name } of this.#copy.storage.list(keysPrefix, { signal }))
      if (!here.has(name)) foreign.push(name.slice(keysPrefix.length).replace(/\.json$/, ''));
    return foreign;
  }

  #context(kind: 'packs' | 'wal' | 'others'): CopyContext {
    return {
      from: this.#from.storage,
      to: this.#copy.storage,
      keys: this.#from.pipelineKeys,
      signal: this.#options.signal,
      copied: (object: ObjectInfo) => this.#count(kind, object.sizeBytes),
      problem: (name, error) => this.#problem(name, error),
    };
  }

  #count(kind: 'packs' | 'wal' | 'others', bytes: number): void {
    this.#counts[kind].objects += 1;
    this.#counts[kind].bytes += bytes;
  }

  #problem(object: string, error: unknown): void {
    const { code, message } = asFailure(error);
    this.#options.log.warn('not copied', { object, code, reason: message });
    this.#problems.push({ object, code, message });
  }
}
