import { siblingModule } from '../../../kernel/module-url.ts';
import type { TaskModule } from '../../../pipeline/task.ts';
import type { SealInput, SealOutput } from './finish-task.ts';
import { givenTo } from './owner.ts';
import type { Done, Staging } from './staging.ts';
import type { DirectoryStep } from './walk.ts';

const sealTask: TaskModule<SealInput, SealOutput> = {
  url: siblingModule(import.meta.url, './finish-task.ts'),
  exportName: 'sealDirectories',
};

const directoriesAtOnce = 128;

/** Gives directories their owners, rights and times, once all is in them that will ever be. */
export class DirectorySealer {
  readonly #staging: Staging;
  readonly #done: Done;
  #directories: DirectoryStep[] = [];

  constructor(staging: Staging, done: Done) {
    this.#staging = staging;
    this.#done = done;
  }

  /** In the order in which they are left: what is in a directory comes before it. */
  async add(step: DirectoryStep): Promise<void> {
    this.#directories.push(step);
    if (this.#directories.length >= directoriesAtOnce) await this.flush();
  }

  async flush(): Promise<void> {
    const { base, shown, flush, exact, owners, context } = this.#staging;
    const steps = this.#directories;
    this.#directories = [];
    context.signal.throwIfAborted();
    if (steps.length === 0) return;
    // While they are still ours and open to us; what comes then changes none of it.
    await Promise.all(steps.map(({ path, meta }) => exact.xattrs(path, meta.xattrs)));
    for (const { path, meta } of steps) await exact.time(path, meta.mtime);
    await exact.flush();
    const directories = steps.map(({ path, meta }) => ({
      path,
      mtime: meta.mtime,
      timeIsSet: exact.sets(meta.mtime),
      ...givenTo(meta, owners, false),
    }));
    const { notGiven } = await context.run(sealTask, { base, shown, flush, directories });
    this.#done.notGiven += notGiven.length;
  }
}
