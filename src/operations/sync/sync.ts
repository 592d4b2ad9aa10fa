import { asFailure } from '../../kernel/errors/failure.ts';
import { pinsPrefix } from '../../repository/history/names.ts';
import { keptConfigPrefix } from '../../repository/kept-config.ts';
import { keysPrefix, parseWalObject, walPrefix } from '../../repository/layout.ts';
import type { BackupName } from '../../repository/model.ts';
import type { Repository } from '../../repository/repository.ts';
import type { ObjectInfo, Storage } from '../../storage/port.ts';
import type { OperationContext } from '../contract.ts';
import type { KeptWal } from '../wal/unneeded.ts';
import { copyBackups } from './backups.ts';
import { copyMissing, type CopyContext } from './copy.ts';
import { makeCopy } from './place.ts';
import { copyRecords, onlyThere, readRecordsThere } from './records.ts';
import type { SyncReport } from './report.ts';
import { dropPartsOf, wantedWal } from './wanted-wal.ts';

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
  const created = await makeCopy(repository, to, options).catch(async (error: unknown) => {
    await to.close();
    throw error;
  });
  // An index and a listing of its own, over a storage of its own.
  await using copy = repository.elsewhere(to);
  await using from = repository.sibling();
  return await new Sync(from, copy, options, created).run();
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
    await copyBackups(wanted, {
      ...this.#options,
      from: this.#from,
      copy: this.#copy,
      context: this.#context('packs'),
      stored: (bytes) => this.#count('others', bytes),
      copied: (id) => void this.#copied.push(id),
      problem: (object, error) => this.#problem(object, error),
    });
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
    if (this.#problems.some((one) => one.object === object && one.code === code)) return;
    this.#options.log.warn('not copied', { object, code, reason: message });
    this.#problems.push({ object, code, message });
  }
}
