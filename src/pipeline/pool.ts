import { Worker } from 'node:worker_threads';
import { runAgain } from '../kernel/errors/core.ts';
import { failure, reasonOf } from '../kernel/errors/failure.ts';
import type { Semaphore } from '../kernel/queue.ts';
import { siblingModule } from '../kernel/module-url.ts';
import type { BlobHost, SinkCounts, SinkSetup } from './blob-sink.ts';
import { serveStored, type StoredHost } from './stored.ts';
import { Channel, Moved } from './channel.ts';
import type { PackFindings, PackToCheck } from './check-pack.ts';
import { decodeTogether, probeBlobs, type Decoded, type DecodeRequest } from './decode.ts';
import type { FinishedPack } from './pack-builder.ts';
import type { RunOptions, TaskModule } from './task.ts';
import type { RunRequest } from './worker.ts';

/** A task that does not end by itself after it was told to is ended with its thread, after this long. */
const abortGraceMs = 15_000;
/** As long as a thread takes to start, hundreds of kilobytes are opened. */
const mostOpenedHere = 256 * 1024;

/** The repository behind the workers of a backup. */
export interface PoolHost extends BlobHost {
  readonly stored: StoredHost;
}

interface Member {
  readonly worker: Worker;
  readonly channel: Channel;
  readonly runs: Map<number, RunOptions>;
  /** Tasks and decodes under way. */
  load: number;
}

/** Worker threads, started when first needed, each with a pipeline of its own. */
export class WorkerPool implements AsyncDisposable {
  readonly #setup: SinkSetup;
  readonly #size: number;
  readonly #host: PoolHost | undefined;
  readonly #permits: Semaphore | undefined;
  readonly #members: Member[] = [];
  readonly #waiting: (() => void)[] = [];
  #busy = 0;
  #nextRunId = 1;
  #closed = false;
  /** Stored bytes of blobs that this thread has opened itself, or has passed on. */
  #openedHere = 0;
  /** A worker that died took sealed blobs with it: nothing that follows may be reported as stored. */
  #broken: Error | undefined;

  constructor(setup: SinkSetup, size: number, host?: PoolHost, permits?: Semaphore) {
    this.#setup = setup;
    this.#size = Math.max(1, size);
    this.#host = host;
    this.#permits = permits;
  }

  /**
   * Runs a task in a worker that runs no other, waiting for one, and for a permit where pools share them. Rejects with the
   * task's own coded error.
   */
  async run<I, O>(task: TaskModule<I, O>, input: I, options: RunOptions = {}): Promise<O> {
    await this.#place();
    try {
      using _permit = await this.#permits?.acquire(options.signal);
      options.signal?.throwIfAborted();
      const member = this.#leastLoaded((other) => other.runs.size === 0);
      return await this.#runIn<O>(
        member,
        { url: task.url.href, exportName: task.exportName, input },
        options,
      );
    } finally {
      this.#busy -= 1;
      this.#waiting.shift()?.();
    }
  }

  /** Starts all workers, and has them load a module. */
  expect(module: URL): void {
    if (this.#closed || this.#broken !== undefined) return;
    while (this.#members.length < this.#size) this.#start().channel.tell('load', module.href);
  }

  /** Opens blobs in whichever worker has least to do. `request.bytes` is moved if it fills its buffer. */
  async decode(request: DecodeRequest): Promise<Decoded> {
    if (this.#isBarelyWorth(request)) return decodeTogether(this.#setup.keys, request);
    return await this.#ask<Decoded>('decode', request);
  }

  /** Checks the seals of blobs: for each null, or why it is not as it was stored. */
  async probe(request: DecodeRequest): Promise<readonly (string | null)[]> {
    if (this.#isBarelyWorth(request)) return probeBlobs(this.#setup.keys, request);
    return await this.#ask<readonly (string | null)[]>('probe', request);
  }

  /** Opens blobs out of a pack and stores those anew that `claim` wants: null, or why one of them cannot be opened. */
  async storeAgain(request: DecodeRequest): Promise<string | null> {
    return await this.#ask<string | null>('storeAgain', request);
  }

  /** Checks every byte of a whole pack. `request.bytes` is moved if it fills its buffer. */
  async checkPack(request: PackToCheck): Promise<PackFindings> {
    return await this.#ask<PackFindings>('checkPack', request);
  }

  /** Resolves when everything the workers hold is durable, with what they counted since they started. */
  async flush(): Promise<readonly SinkCounts[]> {
    if (this.#broken !== undefined) throw this.#broken;
    return await Promise.all(this.#members.map((member) => member.channel.call<SinkCounts>('flush', null)));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closed = true;
    for (const member of this.#members)
      member.channel.close(failure('interrupted', { what: 'its worker was ended', next: runAgain }));
    await Promise.all(this.#members.map((member) => member.worker.terminate()));
  }

  async #ask<T>(method: string, request: { readonly bytes: Uint8Array }): Promise<T> {
    const member = this.#leastLoaded(() => true);
    const { bytes } = request;
    const { buffer } = bytes;
    const whole = buffer instanceof ArrayBuffer && bytes.byteLength === buffer.byteLength;
    member.load += 1;
    try {
      return await member.channel.call<T>(method, request, whole ? [buffer] : []);
    } finally {
      member.load -= 1;
    }
  }

  /**
   * The first little that is to be opened, such as the entries of a small backup, is opened here sooner than a thread
   * could start.
   */
  #isBarelyWorth({ bytes }: DecodeRequest): boolean {
    if (this.#members.length > 0 || this.#closed) return false;
    this.#openedHere += bytes.length;
    return this.#openedHere <= mostOpenedHere;
  }

  async #place(): Promise<void> {
    while (this.#busy >= this.#size) await new Promise<void>((resolve) => this.#waiting.push(resolve));
    this.#busy += 1;
  }

  async #runIn<O>(member: Member, request: Omit<RunRequest, 'runId'>, options: RunOptions): Promise<O> {
    const runId = this.#nextRunId;
    this.#nextRunId += 1;
    let grace: NodeJS.Timeout | undefined;
    const onAbort = (): void => {
      member.channel.tell('abort', runId);
      grace = setTimeout(() => void member.worker.terminate(), abortGraceMs);
    };
    options.signal?.addEventListener('abort', onAbort, { once: true });
    member.runs.set(runId, options);
    member.load += 1;
    try {
      return await member.channel.call<O>('run', { runId, ...request }, options.transfer);
    } catch (error) {
      options.signal?.throwIfAborted();
      throw error;
    } finally {
      clearTimeout(grace);
      options.signal?.removeEventListener('abort', onAbort);
      member.runs.delete(runId);
      member.load -= 1;
    }
  }

  #leastLoaded(suits: (member: Member) => boolean): Member {
    if (this.#closed) throw failure('interrupted', { what: 'the work had already ended', next: runAgain });
    if (this.#broken !== undefined) throw this.#broken;
    const suiting = this.#members.filter(suits).toSorted((a, b) => a.load - b.load);
    const [first] = suiting;
    if (first !== undefined && (first.load === 0 || this.#members.length >= this.#size)) return first;
    if (this.#members.length < this.#size) return this.#start();
    if (first === undefined) throw new Error('no worker is free');
    return first;
  }

  #start(): Member {
    const worker = new Worker(siblingModule(import.meta.url, './worker.ts'), {
      workerData: this.#setup,
      // What passes through is in buffers; the many small objects around it die young, and need no more room.
      resourceLimits: { maxYoungGenerationSizeMb: 12 },
      // Ctrl-C and the streams of people are the main thread's business.
      stdout: false,
      stderr: false,
    });
    const runs = new Map<number, RunOptions>();
    const channel = new Channel(worker, {
      claim: async (ids: Uint8Array<ArrayBuffer>) => await this.#blobHost().claim(ids),
      storePack: async (pack: FinishedPack) => {
        const buffer = await this.#blobHost().storePack(pack);
        return new Moved(buffer, [buffer]);
      },
      ...serveStored(() => this.#blobHost().stored),
      progress: ({ runId, bytes, bytesNew }: { runId: number; bytes: number; bytesNew: number }) => {
        this.#host?.foundNew?.(bytesNew);
        runs.get(runId)?.onProgress?.(bytes);
      },
      message: ({ runId, message }: { runId: number; message: unknown }) =>
        runs.get(runId)?.onMessage?.(message),
    });
    const member: Member = { worker, channel, runs, load: 0 };
    const gone = (reason: string, cause?: unknown): void => {
      const error = failure('internal', { reason }, { cause });
      if (!this.#closed) this.#broken ??= error;
      channel.close(error);
    };
    worker.on('error', (error) => gone(`a worker thread failed: ${reasonOf(error)}`, error));
    worker.on('exit', (code) => gone(`a worker thread ended with code ${code}`));
    this.#members.push(member);
    return member;
  }

  #blobHost(): PoolHost {
    if (this.#host === undefined) throw new Error('this pool only reads');
    return this.#host;
  }
}
