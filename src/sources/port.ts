import type { Entry, StreamRef } from '../contract/stream.ts';
import type { Logger } from '../kernel/log.ts';
import type { Extent } from '../pipeline/map.ts';
import type { Chunking, RunOptions, StreamWriter, TaskModule } from '../pipeline/task.ts';

/** An earlier backup of the same source that this one may build on. */
export interface PreviousBackup {
  readonly id: string;
  /** When it started: milliseconds since 1970. */
  readonly startedAtMs: number;
  /** Of the machine it was taken on. */
  readonly host: string;
  readonly metadata: Readonly<Record<string, unknown>>;
  /** The entries in their order; streamed, may be called more than once. Rejects where they are damaged. */
  entries(): AsyncIterable<Entry>;
}

/** What a source may do while it is backed up. The repository's write session stands behind it. */
export interface BackupContext {
  readonly signal: AbortSignal;
  readonly log: Logger;
  /** How many tasks may run at once. */
  readonly jobs: number;
  /** Runs a task in a worker thread with its own pipeline. Waits for a free worker. */
  run<I, O>(task: TaskModule<I, O>, input: I, options?: RunOptions): Promise<O>;
  /** Starts the worker threads and has each load what runs that task, while the caller still asks and looks around. */
  expect<I, O>(task: TaskModule<I, O>): void;
  /** A stream written from this thread: for small things (globals, settings) only. */
  openStream(chunking: Chunking): StreamWriter;
  /** Adds an entry to the backup. Entries keep the order of the calls. */
  addEntry(entry: Entry): Promise<void>;
  /** The newest earlier backup of the source of this name and kind whose manifest can be read; null when there is none. */
  readonly previous: PreviousBackup | null;
  /**
   * For each stream of an earlier backup whether everything it is made of is in the repository and good, so that this
   * backup may have it as it is. What it answers yes for is checked once more at the commit.
   */
  keep(streams: readonly StreamRef[]): Promise<readonly boolean[]>;
  /**
   * The archive of the WAL of a cluster that this source is of; made where there is none. `wal_archive_differs` when it is of
   * a cluster with another size of segments.
   */
  openWal(cluster: WalCluster): Promise<WalStore>;
  readonly progress: Progress;
}

export interface WalCluster {
  /** Decimal digits, as `pg_control_system()` gives it. */
  readonly systemIdentifier: string;
  readonly segmentBytes: number;
  readonly postgresMajor: number;
}

/** The archive in the repository that the WAL of a cluster goes to. Others may write to it at the same time. */
export interface WalStore {
  /** Its id in the repository: 32 hexadecimal digits. */
  readonly id: string;
  /** What is put must not cross a multiple of this: a segment, at most 16 MiB of it. */
  readonly unitBytes: number;
  /** Whether every position of the timeline from `from` up to, and without, `to` is in it. */
  covers(timeline: number, from: bigint, to: bigint): Promise<boolean>;
  /** Durable when it resolves. The same bytes may be put again; `wal_differs` when others are there. */
  put(stretch: {
    readonly timeline: number;
    readonly start: bigint;
    readonly bytes: Uint8Array;
  }): Promise<void>;
  /** A small file of `pg_wal` under its own name, such as `00000002.history`; as `put`. */
  putFile(name: string, bytes: Uint8Array): Promise<void>;
  /** What was put from `from` up to `to`, in order; less where not all is there. */
  read(timeline: number, from: bigint, to: bigint): AsyncIterable<Uint8Array>;
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
   * Rejects with `blob_damaged` or `object_missing` naming the object. Several may be open at once. Pieces that are `lent`
   * are good until the next one is asked for: their memory is given back then, sooner than it would be collected.
   */
  open(stream: StreamRef, options?: { readonly lent?: boolean }): AsyncIterable<Uint8Array>;
  /**
   * The bytes of several whole streams, in their order: much faster for many small ones. At most a few MiB together,
   * for they are all in memory at once, in buffers that are the caller's to move. Rejects as `open` does.
   */
  readTogether(streams: readonly StreamRef[]): Promise<readonly Uint8Array[]>;
  /** Where the bytes of a stored stream lie: its extents in their order, some thousands at a time. */
  extents(stream: StreamRef): AsyncIterable<readonly Extent[]>;
  /** The bytes of some extents, in the order given; as `open`, for parts of a stream. */
  openExtents(extents: readonly Extent[]): AsyncIterable<Uint8Array>;
  /** Runs a task in a worker thread, for what is written to the target. Waits for a free worker. It stores nothing. */
  run<I, O>(task: TaskModule<I, O>, input: I, options?: RunOptions): Promise<O>;
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
  /**
   * What should be in this backup and is not, in words for people: `2 of 5 databases could not be read`. The backup is
   * kept and marked, and the command ends as partly done. Absent when everything is there.
   */
  readonly incomplete?: string | undefined;
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
