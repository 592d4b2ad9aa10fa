import type { StreamRef } from '../contract/stream.ts';
import { type BlobHasher, blobTypes, type BlobType } from './blob.ts';
import type { BlobSink, PendingBlob } from './blob-sink.ts';
import { type Extent, MapBuilder } from './map.ts';
import type { Promiser } from './promises.ts';
import type { MapWriter } from './task.ts';

/** Blobs are gathered up to this before it is asked which of them are new. */
const gatherBytes = 1024 * 1024;
/** What blobs are copied into, lent again and again within a thread: the system has to clear every new one. */
const idle: Uint8Array[] = [];
const mostIdle = 6;

/** Blobs that it was asked about, and the buffer that their bytes lie in. */
interface Batch {
  readonly blobs: readonly PendingBlob[];
  readonly buffer: Uint8Array | undefined;
  readonly wanted: Promise<Uint8Array>;
}

/**
 * Puts a stream together from blobs it stores and blobs that are stored already. While the session answers which of the
 * blobs gathered are new, those asked about before are stored.
 */
export class ExtentMapWriter implements MapWriter, Promiser {
  isOver = false;
  readonly #hasher: BlobHasher;
  readonly #sink: BlobSink;
  readonly #map = new MapBuilder((node) => this.#gather(blobTypes.map, node));
  #blobs: PendingBlob[] = [];
  #bytes = 0;
  #buffer: Uint8Array | undefined;
  #fill = 0;
  #asked: Batch | undefined;
  #asking: Promise<void> = Promise.resolve();

  constructor(hasher: BlobHasher, sink: BlobSink) {
    this.#hasher = hasher;
    this.#sink = sink;
  }

  async blob(raw: Uint8Array): Promise<Uint8Array> {
    const id = this.#gather(blobTypes.data, this.#copyOf(raw));
    if (this.#bytes >= gatherBytes) await this.#ask();
    return id;
  }

  async extent(extent: Extent): Promise<void> {
    this.#map.add(extent);
    if (this.#bytes >= gatherBytes) await this.#ask();
  }

  async finish(): Promise<StreamRef> {
    const { root, depth, sizeBytes } = this.#map.finish({ mayBeChunk: false });
    await this.store();
    this.isOver = true;
    return { size_bytes: sizeBytes, root, depth };
  }

  async store(): Promise<void> {
    await this.#ask();
    await this.#settle();
  }

  async keepPromises(): Promise<void> {
    await this.#asking.catch(() => undefined); // Told where it was called.
    await this.#settle();
  }

  #gather(type: BlobType, raw: Uint8Array): Uint8Array {
    const id = this.#hasher.idOf(type, raw);
    this.#blobs.push({ type, id, raw });
    this.#bytes += raw.length;
    return id;
  }

  #copyOf(raw: Uint8Array): Uint8Array {
    const at = this.#fill;
    if (at + raw.length > gatherBytes) return Uint8Array.from(raw);
    this.#buffer ??= idle.pop() ?? new Uint8Array(gatherBytes);
    this.#buffer.set(raw, at);
    this.#fill += raw.length;
    return this.#buffer.subarray(at, this.#fill);
  }

  async #ask(): Promise<void> {
    this.#asking = this.#askAndSettle();
    await this.#asking;
  }

  /** Sends the question about the blobs gathered, then stores those of the question before. */
  async #askAndSettle(): Promise<void> {
    const [blobs, buffer] = [this.#blobs, this.#buffer];
    this.#blobs = [];
    this.#bytes = 0;
    this.#buffer = undefined;
    this.#fill = 0;
    const wanted = this.#sink.claim(blobs);
    wanted.catch(() => undefined); // Awaited when it is settled; an earlier failure may mean that it never is.
    await this.#settle();
    this.#asked = { blobs, buffer, wanted };
  }

  async #settle(): Promise<void> {
    const asked = this.#asked;
    this.#asked = undefined;
    if (asked === undefined) return;
    await this.#sink.store(asked.blobs, await asked.wanted);
    if (asked.buffer !== undefined && idle.length < mostIdle) idle.push(asked.buffer);
  }
}

/** Stores each of `contents` as one blob, asking about all of them at once. Their bytes must stay as they are meanwhile. */
export async function storeWhole(
  hasher: BlobHasher,
  sink: BlobSink,
  contents: readonly Uint8Array[],
): Promise<StreamRef[]> {
  const streams: StreamRef[] = [];
  const blobs: PendingBlob[] = [];
  for (const raw of contents) {
    if (raw.length === 0) {
      streams.push({ size_bytes: 0, root: null, depth: 0 });
      continue;
    }
    const id = hasher.idOf(blobTypes.data, raw);
    blobs.push({ type: blobTypes.data, id, raw });
    streams.push({ size_bytes: raw.length, root: Buffer.from(id).toString('hex'), depth: 0 });
  }
  await sink.store(blobs, await sink.claim(blobs));
  return streams;
}
