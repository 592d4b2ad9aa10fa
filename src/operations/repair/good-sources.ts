import { failure, isFailure, reasonOf } from '../../kernel/errors/failure.ts';
import type { Logger } from '../../kernel/log.ts';
import { authenticateObject } from '../../repository/authenticate.ts';
import { decodeCheckedJson } from '../../repository/checked-json.ts';
import { trashPrefix } from '../../repository/history/names.ts';
import { keyObjectSchema } from '../../repository/key-object.ts';
import { configObject, keyObject, keysPrefix, snapshotsPrefix } from '../../repository/layout.ts';
import { quarantinedAs } from '../../repository/quarantine.ts';
import type { Repository } from '../../repository/repository.ts';
import { exists } from '../../storage/exists.ts';
import type { Storage } from '../../storage/port.ts';
import type { UnusableCopy } from './report.ts';

/** Another place that holds the same repository, opened when it is needed. Whoever opened it closes it. */
export interface RepairSource {
  readonly name: string;
  readonly open: () => Promise<Repository>;
}

/** The bytes of an object as they were written, and where they are from. */
export interface GoodObject {
  readonly bytes: Uint8Array;
  readonly from: string;
}

/** Copies to take from what is damaged here. What is in the quarantine and turns out to be good counts as one. */
export class GoodSources implements AsyncDisposable {
  readonly #repository: Repository;
  readonly #sources: readonly RepairSource[];
  readonly #log: Logger;
  readonly #opened = new Map<RepairSource, Promise<Repository | undefined>>();
  readonly unusable: UnusableCopy[] = [];

  constructor(repository: Repository, sources: readonly RepairSource[], log: Logger) {
    this.#repository = repository;
    this.#sources = sources;
    this.#log = log;
  }

  /** Every copy that can be opened, one after another. */
  async *copies(): AsyncGenerator<{ readonly name: string; readonly copy: Repository }, void, void> {
    for (const source of this.#sources) {
      const copy = await this.#open(source);
      if (copy !== undefined) yield { name: source.name, copy };
    }
  }

  /** Undefined when nobody has it as it was written. */
  async find(name: string, signal: AbortSignal): Promise<GoodObject | undefined> {
    const { storage } = this.#repository;
    for (const place of await quarantinedAs(storage, name, signal)) {
      const bytes = await this.#good(storage, place, name, signal);
      if (bytes !== undefined) return { bytes, from: place };
    }
    for await (const { name: from, copy } of this.copies()) {
      for (const alias of aliasesOf(name)) {
        const bytes = await this.#good(copy.storage, alias, name, signal);
        if (bytes !== undefined) return { bytes, from };
      }
    }
    return undefined;
  }

  /** Who seems to have it, by its name alone: for plans. */
  async likely(name: string, signal: AbortSignal): Promise<string | undefined> {
    const [set] = await quarantinedAs(this.#repository.storage, name, signal);
    if (set !== undefined && (await this.#good(this.#repository.storage, set, name, signal)) !== undefined)
      return set;
    for await (const { name: from, copy } of this.copies())
      for (const alias of aliasesOf(name)) if (await exists(copy.storage, alias, signal)) return from;
    return undefined;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const opening of this.#opened.values()) await (await opening)?.[Symbol.asyncDispose]();
  }

  async #good(
    storage: Storage,
    place: string,
    name: string,
    signal: AbortSignal,
  ): Promise<Uint8Array | undefined> {
    try {
      const bytes = await storage.get(place, { signal });
      assertAsWritten(this.#repository, name, bytes);
      return bytes;
    } catch (error) {
      signal.throwIfAborted();
      if (!isFailure(error)) throw error;
      if (error.errorName !== 'object_missing')
        this.#log.warn('not to be had from there', {
          object: place,
          place: storage.location,
          reason: error.message,
        });
      return undefined;
    }
  }

  #open(source: RepairSource): Promise<Repository | undefined> {
    let opening = this.#opened.get(source);
    if (opening === undefined) {
      opening = this.#openOnce(source).catch((error: unknown) => {
        if (!isFailure(error)) throw error;
        this.unusable.push({ name: source.name, reason: reasonOf(error) });
        this.#log.warn('a copy cannot be used', { copy: source.name, reason: reasonOf(error) });
        return undefined;
      });
      this.#opened.set(source, opening);
    }
    return opening;
  }

  async #openOnce(source: RepairSource): Promise<Repository> {
    const copy = await source.open();
    const { info, storage } = this.#repository;
    if (copy.info.id === info.id) return copy;
    const { location } = copy.storage;
    await copy[Symbol.asyncDispose]();
    throw failure('copy_foreign', {
      location,
      origin: storage.location,
      reason: 'another repository is there',
    });
  }
}

/** Checks that an object is as it was written, and is this repository's, whatever kind it is of. `object_damaged`. */
export function assertAsWritten(repository: Repository, name: string, bytes: Uint8Array): void {
  if (name === configObject) repository.assertConfig(bytes);
  else if (name.startsWith(keysPrefix)) assertKey(repository, name, bytes);
  else authenticateObject(repository.pipelineKeys, name, bytes);
}

function assertKey(repository: Repository, name: string, bytes: Uint8Array): void {
  try {
    const key = decodeCheckedJson(bytes, keyObjectSchema);
    if (keyObject(key.id) !== name) throw new Error('its id is not its name');
    if (key.repository !== repository.info.id) throw new Error('it belongs to another repository');
  } catch (error) {
    throw failure('object_damaged', { name, reason: reasonOf(error) }, { cause: error });
  }
}

/** A backup that was forgotten here may be there in a copy, and the other way round: its manifest has the same bytes. */
function aliasesOf(name: string): string[] {
  if (name.startsWith(trashPrefix)) return [name, `${snapshotsPrefix}${name.slice(trashPrefix.length)}`];
  if (name.startsWith(snapshotsPrefix)) return [name, `${trashPrefix}${name.slice(snapshotsPrefix.length)}`];
  return [name];
}
