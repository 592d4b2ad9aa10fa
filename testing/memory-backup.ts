import { createHash } from 'node:crypto';
import type { Entry, StreamRef } from '../src/contract/stream.ts';
import { silentLogger } from '../src/kernel/log.ts';
import { Semaphore } from '../src/kernel/queue.ts';
import type { RunOptions, StreamWriter, Task, TaskModule } from '../src/pipeline/task.ts';
import type { BackupContext, Progress, RestoreContext } from '../src/sources/port.ts';

/**
 * A repository in memory for testing sources alone: entries in an array, streams as buffers, tasks in this thread.
 * Pieces come back from `open` in `pieceBytes`, so that nothing can rely on how they were written.
 */
export class MemoryBackup {
  readonly entries: Entry[] = [];
  readonly streams = new Map<string, Buffer>();
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
      openStream: () => this.#writer(),
      addEntry: async (entry) => {
        if (this.entries.some(({ path }) => path === entry.path))
          throw new Error(`two entries are called ${entry.path}`);
        this.entries.push(structuredClone(entry));
      },
      run: async <I, O>(module: TaskModule<I, O>, input: I, run: RunOptions = {}): Promise<O> => {
        using _worker = await workers.acquire();
        const task = ((await import(module.url.href)) as Record<string, unknown>)[module.exportName] as Task<
          I,
          O
        >;
        const signals = run.signal === undefined ? signal : AbortSignal.any([signal, run.signal]);
        const output = await task(structuredClone(input), {
          signal: signals,
          openStream: () => this.#writer(),
          progress: (bytes) => run.onProgress?.(bytes),
          emit: (message) => run.onMessage?.(structuredClone(message)),
        });
        return structuredClone(output);
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

  async *#read(stream: StreamRef): AsyncGenerator<Uint8Array> {
    if (stream.root === null) return;
    const bytes = this.streams.get(stream.root);
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
