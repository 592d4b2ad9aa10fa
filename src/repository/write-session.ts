import type { Manifest } from '../contract/manifest.ts';
import type { Entry, StreamRef } from '../contract/stream.ts';
import { failure, isFailure } from '../kernel/errors/failure.ts';
import { BlobHasher, blobTypes } from '../pipeline/blob.ts';
import type { DecodeRequest } from '../pipeline/decode.ts';
import { BlobSink, defaultPackBytes, type SinkCounts } from '../pipeline/blob-sink.ts';
import { isAgent, type PipelineKeys } from '../pipeline/keys.ts';
import type { FinishedPack } from '../pipeline/pack-builder.ts';
import { footerEntryBytes } from '../pipeline/pack-format.ts';
import { type PoolHost, WorkerPool } from '../pipeline/pool.ts';
import { Promisers } from '../pipeline/promises.ts';
import { ChunkedStreamWriter, WindowPool } from '../pipeline/stream-writer.ts';
import type { Chunking, RunOptions, StreamWriter, TaskModule } from '../pipeline/task.ts';
import type { Storage } from '../storage/port.ts';
import type { BlobReader } from './blob-reader.ts';
import type { IndexCache } from './index-cache.ts';
import { encodeIndex, type IndexedPack } from './index-object.ts';
import type { Reliance } from './gc/reliance.ts';
import { keepStreams } from './keep.ts';
import { indexObject, packObject } from './layout.ts';
import type { SessionOptions } from './model.ts';
import { commitManifest, objectOf } from './manifests.ts';
import type { HistoryMemory } from './remembered.ts';
import { extentRows, readStream } from './stream-reader.ts';

/** An index object is written after this many rows: an interrupted backup is found again up to there at once. */
const indexRows = 32_768;

export interface SessionParts extends SessionOptions {
  readonly storage: Storage;
  readonly keys: PipelineKeys;
  readonly cache: IndexCache;
  readonly reader: BlobReader;
  readonly reliance: Reliance;
  /** Where it is remembered which backups there were. */
  readonly memory?: HistoryMemory | undefined;
}

/** What a session stored so far. */
export interface SessionCounts extends SinkCounts {
  /** Sizes of all streams of the backup's entries together. */
  bytes: number;
  /** Bytes of objects added to the repository. */
  bytesAdded: number;
}

/**
 * One backup being written. Packs become durable as they fill, then index objects, then, by {@link commit}, the
 * manifest: until then nobody sees anything. Disposing without committing leaves only packs that the next backup
 * finds and uses.
 */
export class WriteSession implements AsyncDisposable {
  readonly #parts: SessionParts;
  readonly #pool: WorkerPool;
  readonly #sink: BlobSink;
  readonly #windows: WindowPool;
  readonly #hasher: BlobHasher;
  readonly #entries: EntryWriter;
  #unindexed: IndexedPack[] = [];
  #unindexedRows = 0;
  #bytesAdded = 0;
  readonly #writers = new Promisers();
  /** Blobs that somebody was told to store, and those that are in packs. */
  #promised = 0;
  #stored = 0;

  constructor(parts: SessionParts) {
    this.#parts = parts;
    const { reader, reliance, signal } = parts;
    const host: PoolHost = {
      claim: async (ids) => {
        await reliance.tick(signal);
        return this.#claim(ids);
      },
      storePack: (pack) => this.#storePack(pack),
      foundNew: (bytes) => parts.onNewBytes?.(bytes),
      stored: {
        present: (ids) => Promise.resolve(parts.cache.present(ids)),
        read: (stream, what) =>
          what === 'bytes' ? readStream(reader, stream, { signal }) : extentRows(reader, stream, signal),
      },
    };
    const { keys, compression, packBytes = defaultPackBytes } = parts;
    const setup = { keys, compression, packBytes };
    this.#pool = new WorkerPool(setup, parts.jobs, host, parts.permits);
    this.#sink = new BlobSink(setup, host);
    this.#windows = new WindowPool(keys.gearTable);
    this.#hasher = new BlobHasher(keys.blobIdKey);
    this.#entries = new EntryWriter(
      this.#openStream({ type: 'content', averageBytes: 65_536 }, blobTypes.list),
    );
  }

  /** Runs a task in a worker; it ends when the session's signal aborts, too. */
  async run<I, O>(task: TaskModule<I, O>, input: I, options: RunOptions = {}): Promise<O> {
    const signals = [this.#parts.signal, options.signal].filter((signal) => signal !== undefined);
    return await this.#pool.run(task, input, { ...options, signal: AbortSignal.any(signals) });
  }

  /** Soon tasks of that kind will be run, in as many workers as there may be. */
  expect<I, O>(task: TaskModule<I, O>): void {
    this.#pool.expect(task.url);
  }

  /** Which streams of earlier backups this one may have as they are. */
  async keep(streams: readonly StreamRef[]): Promise<readonly boolean[]> {
    const { reader, cache, signal } = this.#parts;
    return await keepStreams(reader, cache, streams, signal);
  }

  openStream(chunking: Chunking): StreamWriter {
    return this.#openStream(chunking, blobTypes.data);
  }

  async addEntry(entry: Entry): Promise<void> {
    await this.#entries.add(entry);
  }

  /** Makes everything durable, checks that all it relies on is there, and writes the manifest. */
  async commit(
    describe: (
      counts: SessionCounts,
      entries: Manifest['entries'],
    ) => Omit<Manifest, 'sequence' | 'previous'>,
  ): Promise<Manifest> {
    const { storage, keys, signal, memory } = this.#parts;
    const entries = await this.#entries.finish();
    const counts = await this.settle();
    const manifest = await commitManifest(storage, keys, describe(counts, entries), { signal, memory });
    await this.#takeBackIfLate(manifest);
    return manifest;
  }

  /** Makes everything durable that was stored so far, and checks that all that is relied on is there and stays. */
  async settle(): Promise<SessionCounts> {
    const { reliance, signal } = this.#parts;
    await this.#writers.keepPromises();
    const workers = await this.#pool.flush();
    await this.#sink.flush();
    if (this.#stored !== this.#promised) {
      const counts = `${this.#stored} chunks were stored, and not the ${this.#promised} that were to be`;
      throw failure('internal', { reason: counts });
    }
    await this.#writeIndex();
    await reliance.settle(signal);
    signal.throwIfAborted();
    return this.#total([this.#sink.counts, ...workers]);
  }

  /** Opens blobs out of a pack and stores them anew: null, or why one of them cannot be opened. */
  async storeAgain(request: DecodeRequest): Promise<string | null> {
    return await this.#pool.storeAgain(request);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#pool[Symbol.asyncDispose]();
  }

  #openStream(chunking: Chunking, blobType: 1 | 3): StreamWriter {
    const writer = new ChunkedStreamWriter({
      hasher: this.#hasher,
      sink: this.#sink,
      windows: this.#windows,
      chunking,
      blobType,
    });
    return this.#writers.add(writer);
  }

  /** A blob that somebody is told to store, and that others rely on from then on, must be in a pack at the commit. */
  #claim(ids: Uint8Array): Uint8Array<ArrayBuffer> {
    const wanted = this.#parts.cache.claim(ids);
    this.#promised += wanted.reduce((sum, one) => sum + one, 0);
    return wanted;
  }

  async #storePack(pack: FinishedPack): Promise<ArrayBuffer> {
    const { storage, signal } = this.#parts;
    await storage.put(packObject(pack.id), new Uint8Array(pack.buffer, 0, pack.lengthBytes), { signal });
    this.#bytesAdded += pack.lengthBytes;
    const { id, salt, entries } = pack;
    this.#unindexed.push({ id, salt, sizeBytes: pack.lengthBytes, entries });
    this.#stored += entries.length / footerEntryBytes;
    this.#unindexedRows += entries.length / footerEntryBytes;
    if (this.#unindexedRows >= indexRows) await this.#writeIndex();
    return pack.buffer;
  }

  async #writeIndex(): Promise<void> {
    const packs = this.#unindexed;
    if (packs.length === 0) return;
    this.#unindexed = [];
    this.#unindexedRows = 0;
    const { storage, keys, cache, signal } = this.#parts;
    if (isAgent(keys)) {
      // Nobody would believe an index of an agent. The packs tell the same.
      cache.transaction(() => cache.add(null, packs));
    } else {
      const { id, bytes } = encodeIndex(keys, packs);
      await storage.put(indexObject(id), bytes, { signal });
      this.#bytesAdded += bytes.length;
      cache.transaction(() => cache.add(indexObject(id), packs));
    }
    for (const pack of packs) cache.stored(pack.id, pack.sizeBytes);
  }

  /**
   * A machine that was suspended between the last look at what is there and the manifest may have written it into a
   * repository that has gone on. Then it is looked again, and a backup that lacks something is taken back; an agent can only
   * say so, and `verify` will.
   */
  async #takeBackIfLate(manifest: Manifest): Promise<void> {
    const { storage, keys, reliance } = this.#parts;
    if (!reliance.isLate()) return;
    try {
      await reliance.assertListed();
    } catch (error) {
      if (isFailure(error, 'pack_lost') && !isAgent(keys)) await storage.delete(objectOf(manifest));
      throw error;
    }
  }

  #total(all: readonly SinkCounts[]): SessionCounts {
    const { bytes } = this.#entries;
    const total: SessionCounts = {
      chunks: 0,
      chunksNew: 0,
      bytesNew: 0,
      bytes,
      bytesAdded: this.#bytesAdded,
    };
    for (const counts of all) {
      total.chunks += counts.chunks;
      total.chunksNew += counts.chunksNew;
      total.bytesNew += counts.bytesNew;
    }
    return total;
  }
}

/** Writes the list of entries as newline-delimited JSON, one after another whoever calls. */
class EntryWriter {
  /** Sizes of the streams of all entries so far. */
  bytes = 0;
  readonly #stream: StreamWriter;
  #count = 0;
  #last: Promise<void> = Promise.resolve();

  constructor(stream: StreamWriter) {
    this.#stream = stream;
  }

  add(entry: Entry): Promise<void> {
    this.#count += 1;
    this.bytes += entry.stream?.size_bytes ?? 0;
    const line = Buffer.from(`${JSON.stringify(entry)}\n`);
    const written = this.#last.then(() => this.#stream.write(line));
    this.#last = written.catch(() => {}); // Whoever added it is told; `finish` fails as well, for the stream is broken.
    return written;
  }

  async finish(): Promise<{ count: number; stream: StreamRef }> {
    await this.#last;
    return { count: this.#count, stream: await this.#stream.finish() };
  }
}
