import { mkdir } from 'node:fs/promises';
import { siblingModule } from '../../../kernel/module-url.ts';
import { buffersToMove } from '../../../kernel/release.ts';
import type { TaskModule } from '../../../pipeline/task.ts';
import { damagedEntries, writing } from './failure.ts';
import type { FileToFinish } from './finish-task.ts';
import { allSettled, Flight } from '../../flight.ts';
import { writeLargeFile } from './large.ts';
import { locationOf, shownLocation } from './location.ts';
import { givenTo } from './owner.ts';
import { type Done, finishTask, restoredFile, type Staging } from './staging.ts';
import type { DirectoryStep, FileStep, SymlinkStep } from './walk.ts';
import type { WriteInput, WriteOutput } from './write-task.ts';

const writeTask: TaskModule<WriteInput, WriteOutput> = {
  url: siblingModule(import.meta.url, './write-task.ts'),
  exportName: 'writeFiles',
};

const batchBytes = 2 * 1024 * 1024;
const batchFiles = 512;
/** Longer ones are not held in memory. */
const smallBytes = 4 * 1024 * 1024;
/** Each reads ahead some megabytes. */
const largeAtOnce = 3;

/** Restores directories, private so far, and what is in them but hard links. */
export class ContentWriter {
  readonly #staging: Staging;
  readonly #done: Done;
  readonly #stop = new AbortController();
  readonly #small: Flight;
  readonly #large: Flight;
  readonly #onAbort = (): void => this.#stop.abort(this.#staging.context.signal.reason);
  #directories: string[] = [];
  #files: FileStep[] = [];
  #links: SymlinkStep[] = [];
  #bytes = 0;

  constructor(staging: Staging, done: Done) {
    this.#staging = staging;
    this.#done = done;
    const { jobs, signal } = staging.context;
    this.#small = new Flight(jobs + 1, this.#stop);
    this.#large = new Flight(Math.min(jobs + 1, largeAtOnce), this.#stop);
    signal.throwIfAborted();
    signal.addEventListener('abort', this.#onAbort, { once: true });
  }

  async directory({ path }: DirectoryStep): Promise<void> {
    if (path !== '.') this.#directories.push(path);
    if (this.#directories.length >= batchFiles) await this.#makeDirectories();
  }

  async file(step: FileStep): Promise<void> {
    const { size_bytes: size, depth } = step.stream;
    if (depth > 0 || size > smallBytes) {
      await this.#makeDirectories();
      await this.#large.begin(async () => {
        await writeLargeFile(step, this.#staging, this.#done, this.#stop.signal);
      });
      return;
    }
    if (this.#bytes + size > batchBytes) await this.#send();
    this.#files.push(step);
    this.#bytes += size;
    if (this.#files.length >= batchFiles) await this.#send();
  }

  async symlink(step: SymlinkStep): Promise<void> {
    this.#links.push(step);
    if (this.#links.length >= batchFiles) await this.#send();
  }

  /** Resolves when everything is written; rejects with what failed first. */
  async finish(): Promise<void> {
    await this.#send();
    await this.#small.landed();
    await this.#large.landed();
    this.#stop.signal.throwIfAborted();
    await this.#staging.exact.flush();
  }

  /** Resolves when nothing is written any more, whether all went well or not. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort(new Error('the restore has ended'));
    await this.#small.landed();
    await this.#large.landed();
    this.#staging.context.signal.removeEventListener('abort', this.#onAbort);
  }

  async #send(): Promise<void> {
    await this.#makeDirectories();
    if (this.#files.length === 0 && this.#links.length === 0) return;
    const files = this.#files;
    const links = this.#links;
    this.#files = [];
    this.#links = [];
    this.#bytes = 0;
    await this.#small.begin(async () => await this.#write(files, links));
  }

  /** Level by level, for those of one level do not need each other. */
  async #makeDirectories(): Promise<void> {
    const paths = this.#directories;
    this.#directories = [];
    this.#stop.signal.throwIfAborted();
    const { base, shown } = this.#staging;
    const levels = Map.groupBy(paths, (path) => path.split('/').length);
    for (const [, level] of [...levels].toSorted(([a], [b]) => a - b))
      await allSettled(
        level.map((path) =>
          writing(shownLocation(shown, path), () => mkdir(locationOf(base, path), { mode: 0o700 })),
        ),
      );
  }

  async #write(files: readonly FileStep[], links: readonly SymlinkStep[]): Promise<void> {
    const { base, shown, check, flush, context } = this.#staging;
    const contents = await context.readTogether(files.map(({ stream }) => stream));
    this.#stop.signal.throwIfAborted();
    files.forEach(({ path, stream }, index) => {
      const length = contents[index]?.length ?? -1;
      if (length !== stream.size_bytes)
        throw damagedEntries(`${path} has ${length} bytes instead of ${stream.size_bytes}`);
    });
    const input: WriteInput = {
      base,
      shown,
      check,
      flush,
      files: files.map((step) => ({
        ...restoredFile(step, this.#staging.owners),
        sizeBytes: step.stream.size_bytes,
        sparse: step.meta.sparse === true,
        unfinished: hasXattrs(step),
      })),
      links: links.map(({ path, meta }) => ({
        path,
        target: meta.target,
        mtime: meta.mtime,
        ...givenTo(meta, this.#staging.owners, false),
      })),
      contents,
    };
    const { notGiven } = await context.run(writeTask, input, { transfer: buffersToMove(contents) });
    if (check) this.#done.checked += files.length;
    this.#done.notGiven += notGiven.length;
    context.progress.advance(files.reduce((sum, { stream }) => sum + stream.size_bytes, 0));
    await this.#finishAttributes(files, links, new Set(notGiven));
  }

  async #finishAttributes(
    files: readonly FileStep[],
    links: readonly SymlinkStep[],
    notGiven: ReadonlySet<string>,
  ): Promise<void> {
    const { base, shown, flush, exact, owners, context } = this.#staging;
    const withXattrs = files.filter(hasXattrs);
    await Promise.all([...withXattrs, ...links].map(({ path, meta }) => exact.xattrs(path, meta.xattrs)));
    if (withXattrs.length > 0) {
      const unfinished = withXattrs.map((step): FileToFinish => ({
        ...restoredFile(step, owners),
        given: !notGiven.has(step.path),
        content: null,
      }));
      await context.run(finishTask, { base, shown, flush, files: unfinished });
    }
    for (const { path, meta } of [...files, ...links]) await exact.time(path, meta.mtime);
  }
}

function hasXattrs({ meta }: FileStep): boolean {
  return meta.xattrs !== undefined;
}
