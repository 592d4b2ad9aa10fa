import type { Manifest } from '../contract/manifest.ts';
import { entrySchema, type Entry, type StreamRef } from '../contract/stream.ts';
import type { Clock } from '../kernel/clock.ts';
import { failure, reasonOf } from '../kernel/errors/failure.ts';
import type { RepositoryId } from '../kernel/ids.ts';
import { splitLines } from '../kernel/lines.ts';
import type { Logger } from '../kernel/log.ts';
import type { Secret } from '../kernel/secret.ts';
import { defaultCompression } from '../pipeline/codec.ts';
import { deriveKeys, type PipelineKeys } from '../pipeline/keys.ts';
import { WorkerPool } from '../pipeline/pool.ts';
import type { Storage } from '../storage/port.ts';
import { BlobReader } from './blob-reader.ts';
import { authenticateConfig, infoOf, readConfig, requireFeatures, type RepositoryConfig } from './config-object.ts';
import { publicMaster } from './create.ts';
import { findBackup } from './find-backup.ts';
import { IndexCache } from './index-cache.ts';
import { syncIndex, type IndexProblem } from './index-sync.ts';
import { NoKeyring, StoredKeyring, unlock, type Unlocked } from './keyring.ts';
import { listManifests, readManifest } from './manifests.ts';
import type { BackupName, CallContext, Keyring, Repository, RepositoryInfo, SessionOptions } from './repository.ts';
import { readStream } from './stream-reader.ts';
import { WriteSession } from './write-session.ts';

export interface OpenOptions {
  /** Null when none was given; that is enough for a repository that is not encrypted. */
  readonly passphrase: Secret | null;
  /** Where the local index cache may be kept. */
  readonly cacheDirectory: string;
  readonly clock: Clock;
  readonly log: Logger;
  readonly host: string;
  readonly user: string;
  /** Worker threads for reading; 2 unless given. */
  readonly readJobs?: number;
}

/** What `holdfast.json` says, without any key; null when there is no repository. */
export async function readRepositoryInfo(storage: Storage): Promise<RepositoryInfo | null> {
  const config = await readConfig(storage);
  return config === undefined ? null : infoOf(config);
}

/**
 * Opens a repository for reading and writing. Closing it closes the storage.
 * `repository_missing`, `repository_newer`, `repository_damaged`, `key_needed`, `key_wrong`, `key_none`, `key_damaged`.
 */
export async function openRepository(storage: Storage, options: OpenOptions): Promise<OpenedRepository> {
  const { location } = storage;
  const config = await readConfig(storage);
  if (config === undefined) throw failure('repository_missing', { location });
  requireFeatures(config, location, ['read']);
  const unlocked = config.encryption === 'none' ? undefined : await unlockWith(storage, config, options);
  const master = unlocked?.master ?? publicMaster(config.id as RepositoryId);
  authenticateConfig(config, master, location);
  return new OpenedRepository(storage, config, options, master, unlocked);
}

async function unlockWith(storage: Storage, config: RepositoryConfig, options: OpenOptions): Promise<Unlocked> {
  if (options.passphrase === null) throw failure('key_needed', { location: storage.location });
  return await unlock(storage, config.id as RepositoryId, options.passphrase, options.log);
}

/** The one implementation of {@link Repository}; `verify` uses its inner parts, too. */
export class OpenedRepository implements Repository {
  readonly info: RepositoryInfo;
  readonly storage: Storage;
  readonly keys: Keyring;
  readonly pipelineKeys: PipelineKeys;
  readonly #config: RepositoryConfig;
  readonly #options: OpenOptions;
  #cache: Promise<IndexCache> | undefined;
  #pool: WorkerPool | undefined;
  #reader: Promise<BlobReader> | undefined;
  #indexProblems: readonly IndexProblem[] = [];

  constructor(
    storage: Storage,
    config: RepositoryConfig,
    options: OpenOptions,
    master: Uint8Array,
    unlocked: Unlocked | undefined,
  ) {
    this.info = infoOf(config);
    this.storage = storage;
    this.#config = config;
    this.#options = options;
    this.pipelineKeys = deriveKeys(master, this.info.id, this.info.encrypted ? 'aes-256-gcm' : 'plain');
    const { host, user, clock } = options;
    const origin = () => ({ nowMs: clock.now(), host, user });
    this.keys =
      unlocked === undefined
        ? new NoKeyring(storage.location)
        : new StoredKeyring(storage, this.info.id, unlocked, origin);
  }

  async names(context: CallContext = {}): Promise<readonly BackupName[]> {
    return await listManifests(this.storage, context.signal);
  }

  async manifest(name: BackupName, context: CallContext = {}): Promise<Manifest> {
    return await readManifest(this.storage, this.pipelineKeys, name, context.signal);
  }

  async find(reference: string, context: CallContext = {}): Promise<Manifest> {
    return await findBackup(await this.names(context), reference, (name) => this.manifest(name, context));
  }

  async *entries(manifest: Manifest, context: CallContext = {}): AsyncGenerator<Entry, void, void> {
    let count = 0;
    for await (const line of splitLines(this.open(manifest.entries.stream, context))) {
      count += 1;
      yield parseEntry(line, manifest.id);
    }
    if (count !== manifest.entries.count) {
      const reason = `its list has ${count} entries instead of ${manifest.entries.count}`;
      throw failure('object_damaged', { name: `the entries of backup ${manifest.id}`, reason });
    }
  }

  async *open(stream: StreamRef, context: CallContext = {}): AsyncGenerator<Uint8Array, void, void> {
    yield* readStream(await this.reader(context.signal), stream, context.signal);
  }

  async beginSession({ signal, compression, jobs }: SessionOptions): Promise<WriteSession> {
    requireFeatures(this.#config, this.storage.location, ['read', 'write']);
    const cache = await this.cache(signal);
    return new WriteSession({ storage: this.storage, keys: this.pipelineKeys, cache, compression, jobs, signal });
  }

  /** The blob reader, with the index brought up to date when it is first asked for. */
  async reader(signal?: AbortSignal): Promise<BlobReader> {
    this.#reader ??= this.cache(signal).then((cache) => new BlobReader(this.storage, cache, this.workers()));
    return await this.#reader;
  }

  /** The local index, brought up to date when it is first asked for. */
  async cache(signal?: AbortSignal): Promise<IndexCache> {
    this.#cache ??= this.#openCache(signal);
    return await this.#cache;
  }

  /** Index objects and packs that could not be used when the index was brought up to date. */
  get indexProblems(): readonly IndexProblem[] {
    return this.#indexProblems;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#pool?.[Symbol.asyncDispose]();
    await this.#cache?.then(
      (cache) => cache[Symbol.dispose](),
      () => {}, // It was never opened; whoever asked for it was told.
    );
    await this.storage.close();
  }

  async #openCache(signal?: AbortSignal): Promise<IndexCache> {
    const cache = IndexCache.open(this.#options.cacheDirectory, this.info.id);
    try {
      this.#indexProblems = await syncIndex(this.storage, this.pipelineKeys, cache, this.#options.log, signal);
      return cache;
    } catch (error) {
      cache[Symbol.dispose]();
      throw error;
    }
  }

  /** The threads that open and check blobs. */
  workers(): WorkerPool {
    const setup = { keys: this.pipelineKeys, compression: defaultCompression };
    this.#pool ??= new WorkerPool(setup, this.#options.readJobs ?? 2);
    return this.#pool;
  }
}

function parseEntry(line: Uint8Array, backup: string): Entry {
  try {
    return entrySchema.parse(JSON.parse(Buffer.from(line).toString()));
  } catch (error) {
    const name = `the entries of backup ${backup}`;
    throw failure('object_damaged', { name, reason: reasonOf(error) }, { cause: error });
  }
}
