import type { Entry, StreamRef } from '../contract/stream.ts';
import type { Logger } from '../kernel/log.ts';
import type { Chunking, RunOptions, StreamWriter, TaskModule } from '../pipeline/task.ts';

/** What a source may do while it is backed up. The repository's write session stands behind it. */
export interface BackupContext {
  readonly signal: AbortSignal;
  readonly log: Logger;
  /** How many tasks may run at once. */
  readonly jobs: number;
  /** Runs a task in a worker thread with its own pipeline. Waits for a free worker. */
  run<I, O>(task: TaskModule<I, O>, input: I, options?: RunOptions): Promise<O>;
  /** A stream written from this thread: for small things (globals, settings) only. */
  openStream(chunking: Chunking): StreamWriter;
  /** Adds an entry to the backup. Entries keep the order of the calls. */
  addEntry(entry: Entry): Promise<void>;
  readonly progress: Progress;
}

/** What a source may do while it is restored. */
export interface RestoreContext {
  readonly signal: AbortSignal;
  readonly log: Logger;
  readonly jobs: number;
  /** The metadata the source gave when the backup was taken. */
  readonly metadata: Readonly<Record<string, unknown>>;
  /** The entries in their order; streamed, may be called more than once. */
  entries(): AsyncIterable<Entry>;
  /**
   * The bytes of a stored stream, in order, each piece checked against its keyed hash before it is handed out.
   * Rejects with `blob_damaged` or `object_missing` naming the object. Several may be open at once.
   */
  open(stream: StreamRef): AsyncIterable<Uint8Array>;
  readonly progress: Progress;
}

/** Told by sources and operations, shown by faces. Cheap; may be called often. */
export interface Progress {
  /** A new phase, in words for people: `dumping public.orders`. */
  phase(text: string): void;
  /** Expected source bytes, as soon as it is known or guessed. */
  total(bytes: number): void;
  advance(bytes: number): void;
}

export interface BackupOutcome {
  /** Belongs to the source kind; goes into the manifest as it is. Small: lists go into entries. */
  readonly metadata: Readonly<Record<string, unknown>>;
  /** Things the user should know about this backup (skipped, changed while read …). */
  readonly warnings: readonly string[];
}

/** One finding of `doctor`, with its mend. */
export interface Finding {
  readonly check: string;
  readonly level: 'ok' | 'warning' | 'error';
  readonly message: string;
  /** What to type or change; absent when there is nothing to mend. */
  readonly mend?: string;
  /** Error code when the finding stands for one. */
  readonly code?: string;
}
