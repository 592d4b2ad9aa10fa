import type { Manifest } from '../contract/manifest.ts';
import type { WalArchiveInfo } from '../contract/wal.ts';
import { parseEntry, type Entry, type StreamRef } from '../contract/stream.ts';
import type { Clock } from '../kernel/clock.ts';
import { failure, isFailure, reasonOf } from '../kernel/errors/failure.ts';
import { splitLines } from '../kernel/lines.ts';
import type { Logger } from '../kernel/log.ts';
import type { Secret } from '../kernel/secret.ts';
import { defaultCompression } from '../pipeline/codec.ts';
import { isAgent, type PipelineKeys } from '../pipeline/keys.ts';
import { defaultPackBytes } from '../pipeline/blob-sink.ts';
import type { Extent } from '../pipeline/map.ts';
import { WorkerPool } from '../pipeline/pool.ts';
import type { Storage } from '../storage/port.ts';
import { BlobReader, type Elsewhere } from './blob-reader.ts';
import type { Fallback } from './fallback.ts';
import {
  encodeConfig,
  infoOf,
  requireFeatures,
  type OperationKind,
  type RepositoryConfig,
} from './config-object.ts';
import { findBackup } from './find-backup.ts';
import { IndexCache, type CacheOwner } from './index-cache.ts';
import { syncIndex, type IndexProblem } from './index-sync.ts';
import { NoKeyring, StoredKeyring, type Unlocked } from './keyring.ts';
import { configObject } from './layout.ts';
import { Reliance } from './gc/reliance.ts';
import { listManifests, readManifest } from './manifests.ts';
import type { BackupName, CallContext, Keyring, RepositoryInfo, SessionOptions } from './model.ts';
import { openArchiveAsAgent } from './agent/wal-archive.ts';
import { AgentStorage } from './agent/storage.ts';
import { WalMemory } from './agent/wal-memory.ts';
import type { HistoryMemory } from './remembered.ts';
import {
  extentLeaves,
  readExtentBytes,
  type ReadOptions,
  readStream,
  readTogether,
} from './stream-reader.ts';
import { findWalArchive, listWalArchives, openOrMakeWalArchive, type WalPlaces } from './wal/archives.ts';
import type { WalArchive } from './wal/model.ts';
import { WriteSession } from './write-session.ts';

/** So many backups of other sources may have come since the one looked for. */
const lookBack = 200;
/** A listing of packs may be so old when a session begins. */
const listingLastsMs = 60_000;

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
  /** Where it is remembered, outside of the repository, which backups there were. */
  readonly memory?: HistoryMemory | undefined;
}

/** An open repository. Several programs may have it open and write to it at once. */
export class Repository implements AsyncDisposable {
  readonly info: RepositoryInfo;
  readonly storage: Storage;
  readonly keys: Keyring;
  readonly pipelineKeys: PipelineKeys;
  readonly #config: RepositoryConfig;
  readonly #options: OpenOptions;
  readonly #unlocked: Unlocked | undefined;
  readonly #ownsStorage: boolean;
  #cache: Promise<IndexCache> | undefined;
  #pool: WorkerPool | undefined;
  #reader: Promise<BlobReader> | undefined;
  #indexProblems: readonly IndexProblem[] = [];
  #listedAtMs = 0;
  #fallback: Fallback | undefined;
  #walMemory: WalMemory | undefined;

  constructor(
    storage: Storage,
    config: RepositoryConfig,
    options: OpenOptions,
    keys: PipelineKeys,
    unlocked: Unlocked | undefined,
    ownsStorage = true,
  ) {
    this.info = infoOf(config);
    this.storage = storage;
    this.#config = config;
    this.#options = options;
    this.#unlocked = unlocked;
    this.#ownsStorage = ownsStorage;
    this.pipelineKeys = keys;
    const { host, user, clock } = options;
    const origin = () => ({ nowMs: clock.now(), host, user });
    this.keys =
      unlocked === undefined
        ? new NoKeyring(storage.location, isAgent(keys))
        : new StoredKeyring(storage, this.info.id, unlocked, origin);
  }

  /** Whether it was opened with the credentials of an agent, which can add and can read nothing: `agent_cannot`. */
  get isAgent(): boolean {
    return isAgent(this.pipelineKeys);
  }

  /**
   * The same repository once more, for a backup beside another one: with an index and threads of its own, over the same
   * storage. To be disposed before this one is.
   */
  sibling(): Repository {
    const sibling = new Repository(
      this.storage,
      this.#config,
      this.#options,
      this.pipelineKeys,
      this.#unlocked,
      false,
    );
    sibling.#fallback = this.#fallback;
    return sibling;
  }

  /** What cannot be read here is read from copies from now on. To be called before anything is read. */
  fallBackTo(copies: Fallback): void {
    this.#fallback = copies;
  }

  /** Every backup there is, oldest first, from one listing. */
  async names(context: CallContext = {}): Promise<readonly BackupName[]> {
    return await listManifests(this.storage, context.signal);
  }

  /** Reads, authenticates and parses one manifest. */
  async manifest(name: BackupName, context: CallContext = {}): Promise<Manifest> {
    try {
      return await readManifest(this.storage, this.pipelineKeys, name, context.signal);
    } catch (error) {
      context.signal?.throwIfAborted();
      const found = await this.#fallback?.manifest(name, context.signal);
      if (found === undefined) throw error;
      return found;
    }
  }

  /**
   * Finds the backup meant by an id, a unique prefix of one (at least 4 digits), a timestamp (the newest backup that
   * started at or before it), `latest` or `latest:SOURCE`; imported backups by their ids, else only where there is no
   * other. `backup_unknown`, `backup_ambiguous`, `backup_reference`.
   */
  async find(reference: string, context: CallContext = {}): Promise<Manifest> {
    return await findBackup(await this.names(context), reference, (name) => this.manifest(name, context));
  }

  /** The entries of a backup in their order, streamed. */
  async *entries(manifest: Manifest, context: CallContext = {}): AsyncGenerator<Entry, void, void> {
    let count = 0;
    for await (const line of splitLines(this.open(manifest.entries.stream, context))) {
      count += 1;
      yield readEntry(line, manifest.id);
    }
    if (count !== manifest.entries.count) {
      const reason = `its list has ${count} entries instead of ${manifest.entries.count}`;
      throw failure('object_damaged', { name: `the entries of backup ${manifest.id}`, reason });
    }
  }

  /** The bytes of a stored stream in order, each piece checked before it is handed out. */
  async *open(stream: StreamRef, options: ReadOptions = {}): AsyncGenerator<Uint8Array, void, void> {
    yield* readStream(await this.reader(options.signal), stream, options);
  }

  /** Where the bytes of a stored stream lie, a leaf of its map at a time. */
  async *extents(
    stream: StreamRef,
    context: CallContext = {},
  ): AsyncGenerator<readonly Extent[], void, void> {
    yield* extentLeaves(await this.reader(context.signal), stream, context.signal);
  }

  /** The bytes of these extents, in the order given, each blob checked. */
  async *openExtents(
    extents: readonly Extent[],
    context: CallContext = {},
  ): AsyncGenerator<Uint8Array, void, void> {
    yield* readExtentBytes(await this.reader(context.signal), extents, context.signal);
  }

  /** The bytes of several whole streams, in order; a few MiB together at most, for all are in memory at once. */
  async readTogether(
    streams: readonly StreamRef[],
    context: CallContext = {},
  ): Promise<readonly Uint8Array[]> {
    return await readTogether(await this.reader(context.signal), streams, context.signal);
  }

  /** The newest backup of a source whose manifest can be read, among the newest few; undefined when there is none. */
  async newestOf(source: Manifest['source'], context: CallContext = {}): Promise<Manifest | undefined> {
    if (this.isAgent) return undefined;
    for (const name of (await this.names(context)).slice(-lookBack).toReversed()) {
      try {
        const manifest = await this.manifest(name, context);
        if (manifest.source.name === source.name && manifest.source.kind === source.kind) return manifest;
      } catch (error) {
        if (!isFailure(error, 'object_damaged') && !isFailure(error, 'backup_unknown')) throw error;
      }
    }
    return undefined;
  }

  /** Begins a backup. One session at a time for an open repository; its `sibling` takes another. */
  async beginSession(options: SessionOptions): Promise<WriteSession> {
    requireFeatures(this.#config, this.storage.location, ['read', 'write']);
    const { signal } = options;
    const reliance = await this.beginReliance(signal);
    const { storage, pipelineKeys: keys } = this;
    const [cache, reader] = [await this.cache(signal), await this.reader(signal)];
    const { memory } = this.#options;
    return new WriteSession({ storage, keys, cache, reader, reliance, memory, ...options });
  }

  /**
   * Begins to rely on what is there, for whoever makes a manifest appear: one at a time for an open repository. Prunes
   * leave what is relied on, if it is said in time.
   */
  async beginReliance(signal: AbortSignal): Promise<Reliance> {
    const cache = await this.freshCache(listingLastsMs, signal);
    cache.beginSession();
    const { clock, host } = this.#options;
    const { storage, pipelineKeys: keys } = this;
    const reliance = new Reliance({ storage, keys, cache, clock, host });
    // Behind the listing: what was marked before it is known as marked.
    await reliance.begin(signal);
    return reliance;
  }

  /** The same repository in another place, with the same keys. It owns that storage. */
  elsewhere(storage: Storage): Repository {
    const reached = this.isAgent ? new AgentStorage(storage) : storage;
    return new Repository(reached, this.#config, this.#options, this.pipelineKeys, this.#unlocked);
  }

  /**
   * The WAL of a cluster, for writing: opens its archive, or makes one. `wal_archive_differs` when what is stored has
   * segments of another size, `object_damaged` when the object about the archive is.
   */
  async walArchive(info: Omit<WalArchiveInfo, 'created_at'>, context: CallContext = {}): Promise<WalArchive> {
    requireFeatures(this.#config, this.storage.location, ['read', 'write']);
    const { clock, cacheDirectory } = this.#options;
    if (!this.isAgent) return await openOrMakeWalArchive(this.#walPlaces(), info, clock, context.signal);
    const memory = (this.#walMemory ??= new WalMemory(cacheDirectory, this.info.id));
    return await openArchiveAsAgent(this.#walPlaces(), info, { clock, memory, signal: context.signal });
  }

  /** An archive that there is, by its id; undefined when there is none, or none that can be read. `object_damaged`. */
  async findWalArchive(id: string, context: CallContext = {}): Promise<WalArchive | undefined> {
    return this.isAgent ? undefined : await findWalArchive(this.#walPlaces(), id, context.signal);
  }

  /** Ids of all archives of WAL, in order, whether they can be opened or not. */
  walArchiveIds(context: CallContext = {}): AsyncIterable<string> {
    return listWalArchives(this.#walPlaces(), context.signal);
  }

  /** All archives of WAL, by id. `object_damaged` at the first that cannot be opened; `walArchiveIds` names all. */
  async *walArchives(context: CallContext = {}): AsyncGenerator<WalArchive, void, void> {
    for await (const id of this.walArchiveIds(context)) {
      const archive = await this.findWalArchive(id, context);
      if (archive !== undefined) yield archive;
    }
  }

  /** What `holdfast.json` has to be, byte for byte. */
  get configBytes(): Uint8Array {
    return encodeConfig(this.#config);
  }

  /** Throws `object_damaged` when these are not the bytes of this repository's `holdfast.json`. */
  assertConfig(bytes: Uint8Array): void {
    if (Buffer.compare(bytes, this.configBytes) === 0) return;
    throw failure('object_damaged', { name: configObject, reason: 'it is not what it was when it was made' });
  }

  /** Refuses what only a newer program may do here: `repository_newer`. */
  assertMay(...kinds: readonly OperationKind[]): void {
    requireFeatures(this.#config, this.storage.location, kinds);
  }

  /** The local index, with a listing of packs that is not older than `lastsMs`. */
  async freshCache(lastsMs: number, signal: AbortSignal): Promise<IndexCache> {
    const cache = await this.cache(signal);
    // A session must not come to rely on what went long ago.
    if (this.#options.clock.now() - this.#listedAtMs >= lastsMs) {
      this.#listedAtMs = this.#options.clock.now();
      this.#indexProblems = await syncIndex(
        this.storage,
        this.pipelineKeys,
        cache,
        this.#options.log,
        signal,
      );
    }
    return cache;
  }

  /** The blob reader, with the index brought up to date when it is first asked for. */
  async reader(signal?: AbortSignal): Promise<BlobReader> {
    this.#reader ??= this.cache(signal).then((cache) => {
      const fallback = this.#fallback;
      const elsewhere: Elsewhere | undefined =
        fallback === undefined ? undefined : (id, during) => fallback.blob(id, during);
      return new BlobReader(this.storage, cache, this.workers(), elsewhere);
    });
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
    this.#walMemory?.[Symbol.dispose]();
    if (!this.#ownsStorage) return;
    await this.#fallback?.[Symbol.asyncDispose]();
    await this.storage.close();
  }

  get #cacheOwner(): CacheOwner {
    return this.isAgent ? 'agent' : 'reader';
  }

  #walPlaces(): WalPlaces {
    return { storage: this.storage, keys: this.pipelineKeys, log: this.#options.log };
  }

  async #openCache(signal?: AbortSignal): Promise<IndexCache> {
    try {
      return await this.#openCacheOnce(signal);
    } catch (error) {
      if (!IndexCache.isDamage(error)) throw error;
      this.#options.log.warn('the local index cache is damaged and is made anew', {
        reason: reasonOf(error),
      });
      IndexCache.remove(this.#options.cacheDirectory, this.info.id, this.#cacheOwner);
      return await this.#openCacheOnce(signal);
    }
  }

  async #openCacheOnce(signal?: AbortSignal): Promise<IndexCache> {
    const cache = IndexCache.open(this.#options.cacheDirectory, this.info.id, this.#cacheOwner);
    try {
      this.#listedAtMs = this.#options.clock.now();
      this.#indexProblems = await syncIndex(
        this.storage,
        this.pipelineKeys,
        cache,
        this.#options.log,
        signal,
      );
      return cache;
    } catch (error) {
      cache[Symbol.dispose]();
      throw error;
    }
  }

  /** The threads that open and check blobs. */
  workers(): WorkerPool {
    const setup = { keys: this.pipelineKeys, compression: defaultCompression, packBytes: defaultPackBytes };
    this.#pool ??= new WorkerPool(setup, this.#options.readJobs ?? 2);
    return this.#pool;
  }
}

function readEntry(line: Uint8Array, backup: string): Entry {
  try {
    return parseEntry(JSON.parse(Buffer.from(line).toString()));
  } catch (error) {
    const name = `the entries of backup ${backup}`;
    throw failure('object_damaged', { name, reason: reasonOf(error) }, { cause: error });
  }
}
