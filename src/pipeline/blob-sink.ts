import { blobIdBytes, type BlobType } from './blob.ts';
import { Compressor, type Compression } from './codec.ts';
import type { PipelineKeys } from './keys.ts';
import { PackBuilder, type FinishedPack } from './pack-builder.ts';

/** What a thread's pipeline asks of the write session that owns it. */
export interface BlobHost {
  /**
   * Tells for each id (`blobIdBytes` each, one after another) whether the caller must store the blob: 1, or whether
   * the repository has it or another caller in this session has already been told to: 0.
   */
  claim(ids: Uint8Array<ArrayBuffer>): Promise<Uint8Array>;
  /** Stores a pack; resolves when it is durable, giving its buffer back. */
  storePack(pack: FinishedPack): Promise<ArrayBuffer>;
  /** Told now and then, by threads that run tasks: how many plain bytes more turned out to be new. For progress only. */
  foundNew?(bytes: number): void;
}

export const defaultPackBytes = 16 * 1024 * 1024;

export interface SinkSetup {
  readonly keys: PipelineKeys;
  readonly compression: Compression;
  /** A pack is closed when it has grown beyond this. */
  readonly packBytes: number;
}

export interface PendingBlob {
  readonly type: BlobType;
  readonly id: Uint8Array;
  readonly raw: Uint8Array;
}

export interface SinkCounts {
  chunks: number;
  chunksNew: number;
  /** Plain bytes of the new chunks. */
  bytesNew: number;
}

/** Where the streams of one thread put their blobs: asks which are new, seals those into packs, has packs stored. */
export class BlobSink {
  readonly counts: SinkCounts = { chunks: 0, chunksNew: 0, bytesNew: 0 };
  readonly #builder: PackBuilder;
  readonly #host: BlobHost;
  /** The pack under way: one a thread, besides the one that is being filled, for each holds a buffer. */
  #store: Promise<void> | undefined;
  #error: unknown;

  constructor({ keys, compression, packBytes }: SinkSetup, host: BlobHost) {
    this.#builder = new PackBuilder(keys, new Compressor(compression), packBytes);
    this.#host = host;
  }

  /** Asks which of these the repository wants; give the answer to {@link store}. */
  async claim(blobs: readonly PendingBlob[]): Promise<Uint8Array> {
    if (blobs.length === 0) return new Uint8Array(0);
    const ids = new Uint8Array(blobs.length * blobIdBytes);
    blobs.forEach((blob, index) => ids.set(blob.id, index * blobIdBytes));
    return await this.#host.claim(ids);
  }

  /** Stores those of `blobs` that are wanted. Their bytes must stay as they are until this settles. */
  async store(blobs: readonly PendingBlob[], wanted: Uint8Array): Promise<void> {
    this.counts.chunks += blobs.length;
    for (const [index, blob] of blobs.entries()) {
      if (wanted[index] !== 1) continue;
      if (this.#builder.full) await this.#finishPack();
      this.#builder.add(blob.type, blob.id, blob.raw);
      this.counts.chunksNew += 1;
      this.counts.bytesNew += blob.raw.length;
    }
  }

  /** Closes the open pack and resolves when every pack of this sink is durable. */
  async flush(): Promise<void> {
    await this.#finishPack();
    await this.#store;
    this.#throwIfFailed();
  }

  async #finishPack(): Promise<void> {
    await this.#store;
    this.#throwIfFailed();
    const pack = this.#builder.finish();
    if (pack !== undefined) this.#store = this.#storePack(pack);
  }

  async #storePack(pack: FinishedPack): Promise<void> {
    try {
      this.#builder.recycle(await this.#host.storePack(pack));
    } catch (error) {
      this.#error ??= error;
    }
  }

  #throwIfFailed(): void {
    if (this.#error !== undefined) throw this.#error as Error;
  }
}
