import type { StreamRef } from '../contract/stream.ts';
import { type BlobHasher, blobTypes, type BlobType } from './blob.ts';
import type { BlobSink, PendingBlob } from './blob-sink.ts';
import { type Extent, MapBuilder } from './map.ts';
import type { MapWriter } from './task.ts';

/** Blobs are gathered up to this before it is asked which of them are new. */
const gatherBytes = 1024 * 1024;

/** Puts a stream together from blobs it stores and blobs that are stored already. */
export class ExtentMapWriter implements MapWriter {
  readonly #hasher: BlobHasher;
  readonly #sink: BlobSink;
  readonly #map = new MapBuilder((node) => this.#gather(blobTypes.map, node));
  #pending: PendingBlob[] = [];
  #pendingBytes = 0;

  constructor(hasher: BlobHasher, sink: BlobSink) {
    this.#hasher = hasher;
    this.#sink = sink;
  }

  async blob(raw: Uint8Array): Promise<Uint8Array> {
    const id = this.#gather(blobTypes.data, Uint8Array.from(raw));
    if (this.#pendingBytes >= gatherBytes) await this.store();
    return id;
  }

  async extent(extent: Extent): Promise<void> {
    this.#map.add(extent);
    if (this.#pendingBytes >= gatherBytes) await this.store();
  }

  async finish(): Promise<StreamRef> {
    const { root, depth, sizeBytes } = this.#map.finish({ mayBeChunk: false });
    await this.store();
    return { size_bytes: sizeBytes, root, depth };
  }

  #gather(type: BlobType, raw: Uint8Array): Uint8Array {
    const id = this.#hasher.idOf(type, raw);
    this.#pending.push({ type, id, raw });
    this.#pendingBytes += raw.length;
    return id;
  }

  async store(): Promise<void> {
    const blobs = this.#pending;
    this.#pending = [];
    this.#pendingBytes = 0;
    await this.#sink.store(blobs, await this.#sink.claim(blobs));
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
