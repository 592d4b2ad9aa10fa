import { createHash } from 'node:crypto';
import type { Entry, StreamRef } from '../src/contract/stream.ts';
import { silentLogger } from '../src/kernel/log.ts';
import { Semaphore } from '../src/kernel/queue.ts';
import type { Extent } from '../src/pipeline/map.ts';
import type { StoredData } from '../src/pipeline/stored.ts';
import type {
  MapWriter,
  RunOptions,
  StreamWriter,
  Task,
  TaskContext,
  TaskModule,
} from '../src/pipeline/task.ts';
import type {
  BackupContext,
  PreviousBackup,
  Progress,
  RestoreContext,
  WalStore,
} from '../src/sources/port.ts';

/**
 * A repository in memory for testing sources alone: entries in an array, streams as buffers, tasks in this thread.
 * Pieces come back from `open` in `pieceBytes`, so that nothing can rely on how they were written.
 */
export class MemoryBackup {
  readonly entries: Entry[] = [];
  readonly streams = new Map<string, Buffer>();
  /** By the hex id of a blob, and of a stream put together from extents. */
  readonly blobs = new Map<string, Buffer>();
  readonly maps = new Map<string, readonly Extent[]>();
  /** What `keep` and `present` answer no for: hex ids of roots and blobs. */
  readonly gone = new Set<string>();
  previous: PreviousBackup | null = null;
  /** WAL that was put, by `TIMELINE/START`. */
  readonly walPieces = new Map<string, Buffer>();
  readonly walFiles = new Map<string, Buffer>();
  readonly wal: WalStore = {
    id: '0'.repeat(32),
    unitBytes: 16 * 1024 * 1024,
    covers: async (timeline, from, to) => {
      let reached = from;
      for (const { start, bytes } of this.#walOf(timeline)) {
        const end = start + BigInt(bytes.length);
        if (start <= reached && end > reached) reached = end;
      }
      return reached >= to;
    },
    put: async ({ timeline, start, bytes }) => {
      this.walPieces.set(`${timeline}/${start}`, Buffer.from(bytes));
    },
    putFile: async (name, bytes) => {
      this.walFiles.set(name, Buffer.from(bytes));
    },
    read: (timeline, from, to) => this.#readWal(timeline, from, to),
  };
  #walOf(timeline: number): readonly { readonly start: bigint; readonly bytes: Buffer }[] {
    return [...this.walPieces]
      .map(([key, bytes]) => ({ at: key.split('/').map(BigInt), bytes }))
      .filter(({ at }) => at[0] === BigInt(timeline))
      .map(({ at, bytes }) => ({ start: at[1] ?? 0n, bytes }))
      .toSorted((a, b) => Number(a.start - b.start));
  }

  async *#readWal(timeline: number, from: bigint, to: bigint): AsyncGenerator<Buffer, void, void> {
    let at = from;
    for (const { start, bytes } of this.#walOf(timeline)) {
      if (start > at || start + BigInt(bytes.length) <= at || at >= to) continue;
      const part = bytes.subarray(Number(at - start), Number(to - start));
      at += BigInt(part.length);
      yield part;
    }
  }

  readonly phases: string[] = [];
  bytesRead = 0;
  /** As progress was told; and whether it was ever less than what had been read. */
  bytesTotal = 0;
  outran = false;
  pieceBytes = 50_000;
  /** Called before every write and every piece read: to stop somewhere in the middle. */
  interrupt: ((bytesSoFar: number) => Promise<void> | void) | undefined;
  #moved = 0;

  backupContext(options: { readonly jobs?: number; readonly signal?: AbortSignal } = {}): BackupContext {
    const jobs = options.jobs ?? 1;
    const signal = options.signal ?? new AbortController().signal;
    const workers = new Semaphore(jobs);
    return {
      signal,
      jobs,
      log: silentLogger,
      progress: this.#progress(),
      previous: this.previous,
      openWal: async () => this.wal,
      keep: async (streams) => streams.map(({ root }) => root === null || !this.gone.has(root)),
      expect: () => undefined,
      openStream: () => this.#writer(),
      addEntry: async (entry) => {
        if (this.entries.some(({ path }) => path === entry.path))
          throw new Error(`two entries are called ${entry.path}`);
        this.entries.push(structuredClone(entry));
      },
      run: async <I, O>(module: TaskModule<I, O>, input: I, run: RunOptions = {}): Promise<O> => {
        using _worker = await workers.acquire();
        return await this.#run(module, input, signal, run);
      },
    };
  }

  restoreContext(
    metadata: Readonly<Record<string, unknown>>,
    options: { readonly jobs?: number; readonly signal?: AbortSignal } = {},
  ): RestoreContext {
    const { entries } = this;
    return {
      metadata,
      jobs: options.jobs ?? 1,
      signal: options.signal ?? new AbortController().signal,
      log: silentLogger,
      progress: this.#progress(),
      entries: async function* () {
        yield* structuredClone(entries);
      },
      open: (stream) => this.#read(stream),
      readTogether: async (streams) => await Promise.all(streams.map((stream) => this.#whole(stream))),
      extents: (stream) => this.#extents(stream),
      openExtents: (extents) => this.#readExtents(extents),
      run: async <I, O>(module: TaskModule<I, O>, input: I, run: RunOptions = {}): Promise<O> =>
        await this.#run(module, input, options.signal ?? new AbortController().signal, run),
    };
  }

  entry(path: string): Entry {
    const found = this.entries.find((entry) => entry.path === path);
    if (found === undefined)
      throw new Error(`no entry ${path}; there are: ${this.entries.map((entry) => entry.path).join(' ')}`);
    return found;
  }

  content(path: string): Buffer {
    const { stream } = this.entry(path);
    return this.streams.get(stream?.root ?? '') ?? Buffer.alloc(0);
  }

  /** Makes everything so far the backup that the next one may build on. */
  becomePrevious(metadata: Readonly<Record<string, unknown>>, startedAtMs = Date.now()): void {
    const entries = this.entries.splice(0);
    this.previous = {
      id: '0123456789abcdef0123456789abcdef',
      startedAtMs,
      host: 'testhost',
      metadata,
      entries: async function* () {
        yield* structuredClone(entries);
      },
    };
  }

  async #run<I, O>(module: TaskModule<I, O>, input: I, signal: AbortSignal, run: RunOptions): Promise<O> {
    const exported = (await import(module.url.href)) as Record<string, unknown>;
    const task = exported[module.exportName] as Task<I, O>;
    const context: TaskContext = {
      signal: run.signal === undefined ? signal : AbortSignal.any([signal, run.signal]),
      openStream: () => this.#writer(),
      openMap: () => this.#mapWriter(),
      storeWhole: async (contents) =>
        await Promise.all(
          contents.map(async (content) => {
            const writer = this.#writer();
            await writer.write(content);
            const stream = await writer.finish();
            if (stream.root !== null) this.blobs.set(stream.root, Buffer.from(content));
            return stream;
          }),
        ),
      idOf: (raw) => createHash('sha256').update(raw).digest(),
      stored: this.#stored(),
      progress: (bytes) => run.onProgress?.(bytes),
      emit: (message) => run.onMessage?.(structuredClone(message)),
    };
    return structuredClone(await task(structuredClone(input), context));
  }

  #stored(): StoredData {
    const { maps, blobs, gone } = this;
    return {
      present: async (ids) => ids.map((id) => blobs.has(hex(id)) && !gone.has(hex(id))),
      bytes: (stream) => this.#read(stream),
      // A stream of one chunk is a blob itself.
      extents: async function* ({ root, size_bytes: length }) {
        if (root === null) return;
        const whole = { id: Buffer.from(root, 'hex'), offset: 0, length };
        yield maps.get(root) ?? (blobs.has(root) ? [whole] : []);
      },
    };
  }

  #mapWriter(): MapWriter {
    const extents: Extent[] = [];
    return {
      blob: async (raw) => {
        const id = createHash('sha256').update(raw).digest();
        this.blobs.set(hex(id), Buffer.from(raw));
        this.#moved += raw.length;
        await this.interrupt?.(this.#moved);
        return id;
      },
      extent: async ({ id, offset, length }) =>
        void extents.push({ id: Uint8Array.from(id), offset, length }),
      store: async () => {},
      finish: async () => {
        const pieces = extents.map(({ id, offset, length }) => {
          const piece = this.blobs.get(hex(id))?.subarray(offset, offset + length);
          if (piece?.length !== length) throw new Error(`an extent outside blob ${hex(id)}`);
          return piece;
        });
        const writer = this.#writer();
        await writer.write(Buffer.concat(pieces));
        const stream = await writer.finish();
        if (stream.root !== null) this.maps.set(stream.root, extents);
        return stream;
      },
    };
  }

  async *#extents({ root, size_bytes: length }: StreamRef): AsyncGenerator<readonly Extent[]> {
    if (root === null) return;
    yield this.maps.get(root) ?? [{ id: Buffer.from(root, 'hex'), offset: 0, length }];
  }

  async *#readExtents(extents: readonly Extent[]): AsyncGenerator<Uint8Array> {
    for (const { id, offset, length } of extents) {
      const blob = this.blobs.get(hex(id)) ?? this.streams.get(hex(id));
      if (blob === undefined) throw new Error(`no blob ${hex(id)}`);
      this.#moved += length;
      await this.interrupt?.(this.#moved);
      yield blob.subarray(offset, offset + length);
    }
  }

  async #whole(stream: StreamRef): Promise<Buffer> {
    return Buffer.concat(await Array.fromAsync(this.#read(stream)));
  }

  async *#read(stream: StreamRef): AsyncGenerator<Uint8Array> {
    if (stream.root === null) return;
    const bytes =
      this.streams.get(stream.root) ?? this.blobs.get(stream.root)?.subarray(0, stream.size_bytes);
    if (bytes === undefined) throw new Error(`no stream ${stream.root}`);
    for (let at = 0; at < bytes.length; at += this.pieceBytes) {
      this.#moved += this.pieceBytes;
      await this.interrupt?.(this.#moved);
      yield bytes.subarray(at, at + this.pieceBytes);
    }
  }

  #writer(): StreamWriter {
    const pieces: Buffer[] = [];
    let busy = false;
    return {
      write: async (data) => {
        if (busy) throw new Error('calls of write overlap');
        busy = true;
        pieces.push(Buffer.from(data));
        this.#moved += data.length;
        await this.interrupt?.(this.#moved);
        busy = false;
      },
      finish: async () => {
        const bytes = Buffer.concat(pieces);
        if (bytes.length === 0) return { size_bytes: 0, root: null, depth: 0 };
        const root = createHash('sha256').update(bytes).digest('hex');
        this.streams.set(root, bytes);
        return { size_bytes: bytes.length, root, depth: 0 };
      },
    };
  }

  #progress(): Progress {
    return {
      phase: (text) => void this.phases.push(text),
      total: (bytes) => void (this.bytesTotal += bytes),
      advance: (bytes) => {
        this.bytesRead += bytes;
        this.outran ||= this.bytesRead > this.bytesTotal;
      },
    };
  }
}

function hex(id: Uint8Array): string {
  return Buffer.from(id).toString('hex');
}
