import type { StreamRef } from '../contract/stream.ts';
import { type BlobHasher, blobTypes, type BlobType } from './blob.ts';
import type { BlobSink, PendingBlob } from './blob-sink.ts';
import { ContentChunker } from './chunker.ts';
import { MapBuilder } from './map.ts';
import type { Promiser } from './promises.ts';
import type { Chunking, StreamWriter } from './task.ts';

const fixedWindowBytes = 1024 * 1024;
/** At least: every window is one question about its chunks. */
const contentWindowBytes = 512 * 1024;

/** A buffer that a stream is gathered in, and the rule that cuts it. */
interface Window {
  readonly buffer: Uint8Array;
  /** Length of the chunk at `from`, or 0 when more bytes are needed to tell. */
  nextCut(from: number, to: number, final: boolean): number;
}

/** Lends windows to the streams of one thread, so that a thousand small streams need one. */
export class WindowPool {
  readonly #gearTable: Uint8Array;
  readonly #idle = new Map<string, Window[]>();

  constructor(gearTable: Uint8Array) {
    this.#gearTable = gearTable;
  }

  take(chunking: Chunking): Window {
    return this.#idle.get(keyOf(chunking))?.pop() ?? this.#create(chunking);
  }

  giveBack(chunking: Chunking, window: Window): void {
    const key = keyOf(chunking);
    const idle = this.#idle.get(key) ?? [];
    if (idle.length < 4) idle.push(window);
    this.#idle.set(key, idle);
  }

  #create(chunking: Chunking): Window {
    if (chunking.type === 'content') {
      const { averageBytes } = chunking;
      // Twice the longest chunk. While a window is worked on nobody reads from the source, so it is not much larger.
      const capacityBytes = Math.max(contentWindowBytes, averageBytes * 8);
      return new ContentChunker({ averageBytes, gearTable: this.#gearTable, capacityBytes });
    }
    const { sizeBytes } = chunking;
    if (!Number.isInteger(sizeBytes) || sizeBytes < 512 || sizeBytes > 4 * 1024 * 1024) {
      throw new RangeError(`chunks of ${sizeBytes} bytes`);
    }
    const count = Math.max(2, Math.floor(fixedWindowBytes / sizeBytes));
    return {
      buffer: new Uint8Array(sizeBytes * count),
      nextCut: (from, to, final) => (to - from >= sizeBytes ? sizeBytes : final ? to - from : 0),
    };
  }
}

function keyOf(chunking: Chunking): string {
  return chunking.type === 'content' ? `content-${chunking.averageBytes}` : `fixed-${chunking.sizeBytes}`;
}

export interface StreamWriterOptions {
  readonly hasher: BlobHasher;
  readonly sink: BlobSink;
  readonly windows: WindowPool;
  readonly chunking: Chunking;
  readonly blobType?: BlobType;
}

/** Chunks that were cut and asked about, and the window their bytes lie in. */
interface Batch {
  readonly blobs: readonly PendingBlob[];
  readonly window: Window | undefined;
  readonly wanted: Promise<Uint8Array>;
}

/**
 * Cuts a stream into chunks, gives them to the thread's sink and builds the stream's map. There are two windows:
 * while the session answers which chunks of one are new, the chunks of the other are stored.
 */
export class ChunkedStreamWriter implements StreamWriter, Promiser {
  isOver = false;
  readonly #options: StreamWriterOptions;
  readonly #blobType: BlobType;
  readonly #map = new MapBuilder((node) => this.#storeNode(node));
  #blobs: PendingBlob[] = [];
  #window: Window | undefined;
  #fill = 0;
  #asked: Batch | undefined;
  #asking: Promise<void> = Promise.resolve();
  #finished = false;

  constructor(options: StreamWriterOptions) {
    this.#options = options;
    this.#blobType = options.blobType ?? blobTypes.data;
  }

  async write(data: Uint8Array): Promise<void> {
    if (this.#finished) throw new Error('written to after its end');
    let rest = this.#take(data);
    if (rest.length === 0) return;
    // The caller was promised that its buffer is free when this returns its promise.
    rest = Uint8Array.from(rest);
    while (rest.length > 0) {
      await this.#turnWindow();
      rest = this.#take(rest);
    }
  }

  async finish(): Promise<StreamRef> {
    if (this.#finished) throw new Error('finished twice');
    this.#finished = true;
    const window = this.#window;
    if (window !== undefined) {
      this.#cut(window, true);
      await this.#ask(window);
      this.#window = undefined;
    }
    const { root, depth, sizeBytes } = this.#map.finish({ mayBeChunk: true });
    await this.#ask(undefined);
    await this.#settle();
    this.isOver = true;
    return { size_bytes: sizeBytes, root, depth };
  }

  async keepPromises(): Promise<void> {
    await this.#asking.catch(() => undefined); // Told where it was called.
    await this.#settle();
  }

  /** Copies into the window what fits, and gives what does not. */
  #take(data: Uint8Array): Uint8Array {
    const { buffer } = (this.#window ??= this.#options.windows.take(this.#options.chunking));
    const fitting = data.subarray(0, buffer.length - this.#fill);
    buffer.set(fitting, this.#fill);
    this.#fill += fitting.length;
    return data.subarray(fitting.length);
  }

  /** Cuts the full window, asks about its chunks, and goes on in another that begins with what was not cut. */
  async #turnWindow(): Promise<void> {
    const window = this.#window;
    if (window === undefined) return;
    const from = this.#cut(window, false);
    await this.#ask(window);
    const next = this.#options.windows.take(this.#options.chunking);
    next.buffer.set(window.buffer.subarray(from, this.#fill));
    this.#window = next;
    this.#fill -= from;
  }

  /** Cuts what can be cut; gives the offset of the first byte that is not in a chunk. */
  #cut(window: Window, final: boolean): number {
    let from = 0;
    while (from < this.#fill) {
      const length = window.nextCut(from, this.#fill, final);
      if (length === 0) break;
      const raw = window.buffer.subarray(from, from + length);
      const id = this.#options.hasher.idOf(this.#blobType, raw);
      this.#blobs.push({ type: this.#blobType, id, raw });
      this.#map.add({ id, offset: 0, length });
      from += length;
    }
    return from;
  }

  #storeNode(node: Uint8Array): Uint8Array {
    const id = this.#options.hasher.idOf(blobTypes.map, node);
    this.#blobs.push({ type: blobTypes.map, id, raw: node });
    return id;
  }

  async #ask(window: Window | undefined): Promise<void> {
    this.#asking = this.#askAndSettle(window);
    await this.#asking;
  }

  /** Sends the question about the blobs gathered, then stores those of the question before. */
  async #askAndSettle(window: Window | undefined): Promise<void> {
    const blobs = this.#blobs;
    this.#blobs = [];
    const wanted = this.#options.sink.claim(blobs);
    wanted.catch(() => {}); // Awaited when it is settled; an earlier failure may mean that it never is.
    await this.#settle();
    this.#asked = { blobs, window, wanted };
  }

  async #settle(): Promise<void> {
    const asked = this.#asked;
    this.#asked = undefined;
    if (asked === undefined) return;
    await this.#options.sink.store(asked.blobs, await asked.wanted);
    if (asked.window !== undefined) this.#options.windows.giveBack(this.#options.chunking, asked.window);
  }
}
