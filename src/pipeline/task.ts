import type { StreamRef } from '../contract/stream.ts';
import type { Extent } from './map.ts';
import type { StoredData } from './stored.ts';

/** How a stream is cut into chunks: by content around a mean size, or at fixed multiples of a page size. */
export type Chunking =
  | { readonly type: 'content'; readonly averageBytes: 32_768 | 65_536 | 131_072 | 1_048_576 }
  | { readonly type: 'fixed'; readonly sizeBytes: number };

/** Takes the bytes of one stream, in order, and stores them as chunks. */
export interface StreamWriter {
  /**
   * Takes bytes. They are copied before this returns its promise, so the caller may reuse its buffer at once;
   * the promise resolves when there is room for more. Calls must not overlap.
   */
  write(data: Uint8Array): Promise<void>;
  /** Ends the stream. Its chunks are durable only once the session that owns it has committed. */
  finish(): Promise<StreamRef>;
}

/**
 * Puts a stream together from parts of blobs, new ones and those of an earlier backup. Calls must not overlap.
 */
export interface MapWriter {
  /** Stores a blob of at most 4 MiB and gives its id; it is copied before this returns its promise. */
  blob(raw: Uint8Array): Promise<Uint8Array>;
  /** The bytes that come next: a part of a blob that was stored here, or that `stored.present` has said to be there. */
  extent(extent: Extent): Promise<void>;
  /** Stores what waits of the blobs, for a task that ends without a stream: another one puts them into one. */
  store(): Promise<void>;
  /** Ends the stream. Its blobs are durable only once the session that owns it has committed. */
  finish(): Promise<StreamRef>;
}

/** What a task running in a pipeline worker (or on the main thread) may use. */
export interface TaskContext {
  /** Aborts when the session does. The task must then end soon, children and all. */
  readonly signal: AbortSignal;
  /** Opens a stream to store. Several may be open at once. */
  openStream(chunking: Chunking): StreamWriter;
  /** Opens a stream that is put together from extents. */
  openMap(): MapWriter;
  /**
   * Stores each of these (at most 4 MiB) as a stream of one chunk: much faster for many small ones than a writer each.
   * Their bytes must stay as they are until it resolves.
   */
  storeWhole(contents: readonly Uint8Array[]): Promise<readonly StreamRef[]>;
  /** The id that these bytes have as a blob: to see whether what is somewhere else is what is stored. */
  idOf(raw: Uint8Array): Uint8Array;
  /** What earlier backups have stored. Only in a backup. */
  readonly stored: StoredData;
  /** Reports source bytes read since the last call; cheap, may be called for every buffer. */
  progress(bytesRead: number): void;
  /** Sends a structured-cloneable message to whoever started the task (`onMessage`). */
  emit(message: unknown): void;
}

/**
 * The body of a task. It runs in a worker thread: the module that exports it is named by URL, its input and
 * output are structured-cloned, so both are plain data (no class instances, no functions).
 * A `HoldfastError` thrown here arrives whole on the other side.
 */
export type Task<I, O> = (input: I, context: TaskContext) => Promise<O>;

/** Names a task for a worker: `new URL('./dump-task.ts', import.meta.url)` and the name of its export. */
export interface TaskModule<I, O> {
  readonly url: URL;
  readonly exportName: string;
  /** Never set; carries the types. */
  readonly types?: (input: I) => O;
}

export interface RunOptions {
  /** Buffers of the input that move to the task instead of being copied: they are empty here afterwards. */
  readonly transfer?: readonly ArrayBuffer[];
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?: (bytesRead: number) => void;
  readonly onMessage?: (message: unknown) => void;
}
