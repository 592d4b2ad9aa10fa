import type { RestoreContext } from '../../port.ts';
import { buffersToMove } from '../../../kernel/release.ts';
import { Flight } from '../../flight.ts';
import type { Areas } from './areas.ts';
import { damaged } from './damaged.ts';
import type { Item } from './entries.ts';
import { writeLargeFile } from './large.ts';
import type { FileOwner } from './options.ts';
import { type FileToWrite, type WriteOutput, writeTask } from './write-task.ts';

type FileItem = Extract<Item, { type: 'file' }>;

const batchBytes = 2 * 1024 * 1024;
const batchFiles = 512;
/** Longer ones are not held in memory. */
const smallBytes = 2 * 1024 * 1024;
/** Each reads ahead some megabytes. */
const largeAtOnce = 4;

export interface ContentOptions {
  readonly areas: Areas;
  readonly context: RestoreContext;
  readonly target: string;
  readonly owner: FileOwner | null;
  readonly compare: boolean;
  /** Rights that files may have at most. */
  readonly modeMask: number;
}

/** Writes files, several at once: small ones together in tasks, large ones as they come. Directories are there. */
export class ContentWriter implements AsyncDisposable {
  readonly done = { written: 0, kept: 0 };
  readonly #options: ContentOptions;
  readonly #stop = new AbortController();
  readonly #small: Flight;
  readonly #large: Flight;
  readonly #onAbort = (): void => this.#stop.abort(this.#options.context.signal.reason);
  #files: FileItem[] = [];
  #bytes = 0;

  constructor(options: ContentOptions) {
    this.#options = options;
    const { jobs, signal } = options.context;
    this.#small = new Flight(jobs + 1, this.#stop);
    this.#large = new Flight(Math.min(jobs + 1, largeAtOnce), this.#stop);
    signal.throwIfAborted();
    signal.addEventListener('abort', this.#onAbort, { once: true });
  }

  async add(file: FileItem): Promise<void> {
    const { size_bytes: size, depth } = file.stream;
    if (size > smallBytes || depth > 1) {
      await this.#large.begin(() => this.#writeLarge(file));
      return;
    }
    if (this.#bytes + size > batchBytes) await this.#send();
    this.#files.push(file);
    this.#bytes += size;
    if (this.#files.length >= batchFiles) await this.#send();
  }

  /** Resolves when everything is written and durable; rejects with what failed first. */
  async finish(): Promise<void> {
    await this.#send();
    await this.#small.landed();
    await this.#large.landed();
    this.#stop.signal.throwIfAborted();
  }

  /** Resolves when nothing is written any more, whether all went well or not. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort(new Error('the restore has ended'));
    await this.#small.landed();
    await this.#large.landed();
    this.#options.context.signal.removeEventListener('abort', this.#onAbort);
  }

  async #send(): Promise<void> {
    const files = this.#files;
    if (files.length === 0) return;
    this.#files = [];
    this.#bytes = 0;
    await this.#small.begin(() => this.#writeSmall(files));
  }

  async #writeSmall(files: readonly FileItem[]): Promise<void> {
    const { context, target, owner, compare } = this.#options;
    const contents = await context.readTogether(files.map(({ stream }) => stream));
    this.#stop.signal.throwIfAborted();
    for (const [index, { path, stream }] of files.entries()) {
      const length = contents[index]?.length ?? -1;
      if (length !== stream.size_bytes)
        throw damaged(`${path} has ${length} bytes instead of ${stream.size_bytes}`);
    }
    const input = { target, owner, compare, contents, files: files.map((file) => this.#toWrite(file)) };
    this.#count(await context.run(writeTask, input, { transfer: buffersToMove(contents) }));
    context.progress.advance(files.reduce((sum, { stream }) => sum + stream.size_bytes, 0));
  }

  async #writeLarge(file: FileItem): Promise<void> {
    const { context, target, owner, compare } = this.#options;
    const work = { context, target, owner, compare, stop: this.#stop.signal };
    this.#count(await writeLargeFile(this.#toWrite(file), file.stream, work));
  }

  #toWrite({ path, mode }: FileItem): FileToWrite {
    return { ...this.#options.areas.spot(path), mode: (mode & this.#options.modeMask) | 0o600 };
  }

  #count({ written, kept }: WriteOutput): void {
    this.done.written += written;
    this.done.kept += kept;
  }
}
