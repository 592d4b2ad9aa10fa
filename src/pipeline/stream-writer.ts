import type { StreamRef } from '../contract/stream.ts';
import { blobIdOf, blobTypes, type BlobType } from './blob.ts';
import type { BlobSink, PendingBlob } from './blob-sink.ts';
import { ContentChunker } from './chunker.ts';
import type { PipelineKeys } from './keys.ts';
import { MapBuilder } from './map.ts';
import type { Chunking, StreamWriter } from './task.ts';

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
    if (idle.length < 2) idle.push(window);
    this.#idle.set(key, idle);
  }

  #create(chunking: Chunking): Window {
    if (chunking.type === 'content') {
      // Room for many chunks, so that one question to the session serves many.
      const capacityBytes = Math.max(2 * 1024 * 1024, chunking.averageBytes * 8);
      const { averageBytes } = chunking;
      return new ContentChunker({ averageBytes, gearTable: this.#gearTable, capacityBytes });
    }
    const { sizeBytes } = chunking;
    if (!Number.isInteger(sizeBytes) || sizeBytes < 512 || sizeBytes > 4 * 1024 * 1024) {
      throw new RangeError(`chunks of ${sizeBytes} bytes`);
    }
    const count = Math.max(2, Math.floor((2 * 1024 * 1024) / sizeBytes));
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
  readonly keys: PipelineKeys;
  readonly sink: BlobSink;
  readonly windows: WindowPool;
  readonly chunking: Chunking;
  readonly blobType?: BlobType;
}

/** Cuts a stream into chunks, gives them to the thread's sink and builds the stream's map. */
export class ChunkedStreamWriter implements StreamWriter {
  readonly #keys: PipelineKeys;
  readonly #sink: BlobSink;
  readonly #windows: WindowPool;
  readonly #chunking: Chunking;
  readonly #blobType: BlobType;
  readonly #map = new MapBuilder((node) => this.#storeNode(node));
  #pending: PendingBlob[] = [];
  #window: Window | undefined;
  #fill = 0;
  #finished = false;

  constructor(options: StreamWriterOptions) {
    this.#keys = options.keys;
    this.#sink = options.sink;
    this.#windows = options.windows;
    this.#chunking = options.chunking;
    this.#blobType = options.blobType ?? blobTypes.data;
  }

  async write(data: Uint8Array): Promise<void> {
    if (this.#finished) throw new Error('written to after its end');
    const window = (this.#window ??= this.#windows.take(this.#chunking));
    let rest = data;
    // Only the last piece may be copied after an await, and the caller was promised that its buffer is free by then:
    // so what does not fit at once is copied aside first.
    if (rest.length > window.buffer.length - this.#fill) {
      const room = window.buffer.length - this.#fill;
      window.buffer.set(rest.subarray(0, room), this.#fill);
      this.#fill += room;
      rest = Uint8Array.from(rest.subarray(room));
      await this.#cut(window, false);
      while (rest.length > window.buffer.length - this.#fill) {
        const part = rest.subarray(0, window.buffer.length - this.#fill);
        window.buffer.set(part, this.#fill);
        this.#fill += part.length;
        rest = rest.subarray(part.length);
        await this.#cut(window, false);
      }
    }
    window.buffer.set(rest, this.#fill);
    this.#fill += rest.length;
  }

  async finish(): Promise<StreamRef> {
    if (this.#finished) throw new Error('finished twice');
    this.#finished = true;
    if (this.#window !== undefined) {
      await this.#cut(this.#window, true);
      this.#windows.giveBack(this.#chunking, this.#window);
      this.#window = undefined;
    }
    const { root, depth, sizeBytes } = this.#map.finish();
    await this.#putPending();
    return { size_bytes: sizeBytes, root, depth };
  }

  /** Cuts what can be cut, stores it, and moves the rest to the front. */
  async #cut(window: Window, final: boolean): Promise<void> {
    let from = 0;
    while (from < this.#fill) {
      const length = window.nextCut(from, this.#fill, final);
      if (length === 0) break;
      const raw = window.buffer.subarray(from, from + length);
      const id = blobIdOf(this.#keys, this.#blobType, raw);
      this.#pending.push({ type: this.#blobType, id, raw });
      this.#map.add({ id, offset: 0, length });
      from += length;
    }
    await this.#putPending();
    window.buffer.copyWithin(0, from, this.#fill);
    this.#fill -= from;
  }

  #storeNode(node: Uint8Array): Uint8Array {
    const id = blobIdOf(this.#keys, blobTypes.map, node);
    this.#pending.push({ type: blobTypes.map, id, raw: node });
    return id;
  }

  async #putPending(): Promise<void> {
    const pending = this.#pending;
    this.#pending = [];
    await this.#sink.put(pending);
  }
}
