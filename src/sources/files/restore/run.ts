import { chmod, lstat, mkdir, readdir, readFile, rmdir } from 'node:fs/promises';
import { dirname } from 'node:path';
import { failure, isFailure, reasonOf } from '../../../kernel/errors/failure.ts';
import { plural } from '../../../kernel/plural.ts';
import type { RestoreContext } from '../../port.ts';
import { PosixHelper } from '../posix-helper.ts';
import { ContentWriter } from './content.ts';
import { Destinations } from './destination.ts';
import { DirectorySealer } from './directories.ts';
import { Exact } from './exact.ts';
import { writing } from './failure.ts';
import { Flusher } from './flush.ts';
import { LinkWriter } from './links.ts';
import { entryPath, locationBytes, shownLocation } from './location.ts';
import { type Finished, Mover } from './mover.ts';
import { putInPlace, swapIntoPlace } from './place.ts';
import { mountPoints } from './mounts.ts';
import { type FilesRestoreWork, tokenBytes } from './plan.ts';
import { isThere, removeTree } from './remove.ts';
import type { Done, Staging } from './staging.ts';
import { checkNoMount, stagingBeside, stagingWithin } from './target.ts';
import { type DirectoryStep, type Step, walk } from './walk.ts';

/** What a restore has to tell beside what its plan said. */
export interface RunResult {
  readonly checked: number;
  readonly replaced: string | null;
  readonly warnings: readonly string[];
}

/** So many things that could not be undone are named; of the others there is a number. */
const namedLeft = 20;

/** One restore: everything is made under another name, and only in the end gets its own. */
export class FilesRun {
  readonly #work: FilesRestoreWork;
  readonly #context: RestoreContext;
  readonly #staging: Staging;
  readonly #flusher: Flusher;
  readonly #done: Done = { checked: 0, notGiven: 0 };
  readonly #warnings: string[] = [];
  /** Paths that were chosen themselves, for what is put into a target: the only list that is kept. */
  readonly #tops: string[] = [];
  #root: DirectoryStep | undefined;

  constructor(
    work: FilesRestoreWork,
    context: RestoreContext,
    helper: PosixHelper | null,
    base: string,
    flusher: Flusher,
  ) {
    const { target, options, owners } = work;
    this.#work = work;
    this.#context = context;
    const exact = new Exact(helper, base);
    this.#flusher = flusher;
    const { check } = options;
    this.#staging = { base, shown: target.path, owners, check, flush: !flusher.flushesAll, exact, context };
  }

  async run(): Promise<RunResult> {
    const { progress, signal } = this.#context;
    progress.phase('writing files');
    await this.#writeContents();
    if (this.#work.hardlinks > 0) await this.#linkNames();
    progress.phase('finishing directories');
    await this.#sealDirectories();
    signal.throwIfAborted();
    progress.phase('making it durable');
    await this.#flusher.flush(this.#work.target.path);
    signal.throwIfAborted();
    progress.phase('putting it in place');
    const replaced = await writing(this.#work.target.path, () => this.#place());
    return { checked: this.#done.checked, replaced, warnings: [...this.#warnings, ...this.#shortcomings()] };
  }

  #steps(unchosen?: Parameters<typeof walk>[2]): AsyncGenerator<Step, void, void> {
    return walk(this.#context.entries(), this.#work.selection, unchosen);
  }

  async #writeContents(): Promise<void> {
    await using writer = new ContentWriter(this.#staging, this.#done);
    for await (const step of this.#steps()) {
      if (step.type === 'leave') continue;
      if (step.top && this.#work.within) this.#tops.push(step.path);
      if (step.type === 'enter') await writer.directory(step);
      else if (step.type === 'file') await writer.file(step);
      else if (step.type === 'symlink') await writer.symlink(step);
    }
    await this.#writeRenamed(writer);
    await writer.finish();
  }

  /** Content of files that are not chosen, under their first name that is. By now that has its directory. */
  async #writeRenamed(writer: ContentWriter): Promise<void> {
    const { renamed } = this.#work;
    if (renamed.size === 0) return;
    const files: Parameters<ContentWriter['file']>[0][] = [];
    const steps = this.#steps((path, file) => {
      const name = renamed.get(path);
      if (name !== undefined) files.push({ ...file(), path: name });
    });
    for await (const _ of steps) for (const file of files.splice(0)) await writer.file(file);
    for (const file of files) await writer.file(file);
  }

  async #linkNames(): Promise<void> {
    const links = new LinkWriter(this.#staging);
    for await (const step of this.#steps()) {
      if (step.type !== 'hardlink') continue;
      const target = this.#work.renamed.get(step.target) ?? step.target;
      if (target !== step.path) await links.add({ path: step.path, target });
    }
    await links.flush();
  }

  async #sealDirectories(): Promise<void> {
    const { within } = this.#work;
    const sealer = new DirectorySealer(this.#staging, this.#done);
    for await (const step of this.#steps()) {
      if (step.type !== 'leave') continue;
      if (step.path === '.') this.#root = step;
      if (step.path !== '.' || !within) await sealer.add(step);
    }
    await sealer.flush();
    if (this.#root === undefined && !within) await chmod(this.#staging.base, await ordinaryMode());
  }

  async #place(): Promise<string | null> {
    const { target, within, options } = this.#work;
    const { base } = this.#staging;
    if (within) return await this.#putWithin();
    if (target.found === 'full') {
      // It may have been mounted while all was written.
      await checkNoMount(Buffer.from(target.path), options.target, await mountPoints(target.path));
      return await swapIntoPlace(base, target, options.now());
    }
    await putInPlace(base, target);
    return null;
  }

  async #putWithin(): Promise<string | null> {
    const { target, options } = this.#work;
    const { base } = this.#staging;
    await using mover = await Mover.open(target, base, options.randomHex(tokenBytes), options.now());
    try {
      await (target.found === 'full' ? this.#moveChosen(mover) : this.#moveAll(mover));
      await mover.flush();
    } catch (error) {
      throw await this.#undone(mover, error);
    }
    // From here on all is in its place: what fails now is told, and no error.
    const finished = await mover.finish();
    this.#tellReplaced(finished);
    await removeTree(Buffer.from(base)).catch((error: unknown) =>
      this.#warnings.push(`${base} could not be removed, and is of no use any more: ${reasonOf(error)}`),
    );
    if (target.found === 'empty' && this.#root !== undefined) await this.#sealTarget(this.#root);
    return finished.directory;
  }

  /** Undoes what was moved, and gives the error to throw. */
  async #undone(mover: Mover, error: unknown): Promise<unknown> {
    const left = await mover.undo();
    if (left.length === 0) return error;
    const more = left.length - namedLeft;
    const named = [...left.slice(0, namedLeft), ...(more > 0 ? [`and ${plural(more, 'path')} more`] : [])];
    const details = { reason: reasonOf(error), left };
    const params = { target: this.#work.target.path, left: named.join('; ') };
    return failure('restore_not_undone', params, { cause: error, details });
  }

  async #moveChosen(mover: Mover): Promise<void> {
    const { target, options } = this.#work;
    const destinations = new Destinations(target.path, options.force);
    const moved = new Set<string>();
    for (const top of this.#tops) {
      if (isBelow(top, moved)) continue;
      const { path, taken } = await destinations.of(top);
      await this.#move(mover, path, taken);
      moved.add(path);
    }
  }

  async #moveAll(mover: Mover): Promise<void> {
    for (const name of await readdir(this.#staging.base, { encoding: 'buffer' }))
      await this.#move(mover, entryPath('.', name), false);
  }

  async #move(mover: Mover, path: string, taken: boolean): Promise<void> {
    this.#context.signal.throwIfAborted();
    const { base, shown } = this.#staging;
    const to = locationBytes(this.#work.target.path, path);
    await mover.move(locationBytes(base, path), to, taken, shownLocation(shown, path));
  }

  #tellReplaced({ directory, replaced, unflushed }: Finished): void {
    const [first] = replaced;
    if (directory === null || first === undefined) return;
    const what = replaced.length === 1 ? first.path.toString() : plural(replaced.length, 'path');
    this.#warnings.push(`what was at ${what} is kept in ${directory}, under the same path`);
    for (const { path, kept } of replaced)
      if (!kept.toString().startsWith(`${directory}/`))
        this.#warnings.push(`what was at ${path.toString()} is kept as ${kept.toString()}`);
    if (unflushed !== null)
      this.#warnings.push(
        `the name of ${directory} could not be flushed (${unflushed}): after a crash of the machine it may be another`,
      );
  }

  /** The place itself was there before; it may be somebody else's. All that was asked for is in it by now. */
  async #sealTarget(root: DirectoryStep): Promise<void> {
    const { path } = this.#work.target;
    try {
      const exact = this.#staging.exact.at(path);
      const sealer = new DirectorySealer({ ...this.#staging, base: path, exact, flush: true }, this.#done);
      await sealer.add(root);
      await sealer.flush();
    } catch (error) {
      this.#warnings.push(`rights and time of ${path} itself were not restored: ${reasonOf(error)}`);
    }
  }

  #shortcomings(): string[] {
    const { notGiven } = this.#done;
    const owners = `${plural(notGiven, 'path')} could not be given to the owner it had: the system does not permit it`;
    return [...this.#staging.exact.warnings(), ...(notGiven > 0 ? [owners] : [])];
  }
}

function isBelow(path: string, moved: ReadonlySet<string>): boolean {
  for (let end = path.indexOf('/'); end > 0; end = path.indexOf('/', end + 1))
    if (moved.has(path.slice(0, end))) return true;
  return false;
}

/** What a new directory gets; asking the process for it would change it for a moment, for all threads. */
async function ordinaryMode(): Promise<number> {
  const status = await readFile('/proc/self/status', 'utf8').catch(() => '');
  const umask = /^Umask:\s*([0-7]+)$/m.exec(status)?.[1] ?? '022';
  return 0o777 & ~Number.parseInt(umask, 8);
}

/** Runs a plan; when that fails, what it has made is removed. */
export async function runWork(work: FilesRestoreWork, context: RestoreContext): Promise<RunResult> {
  const { target, options, within } = work;
  const token = options.randomHex(tokenBytes);
  const base = within ? stagingWithin(target, token) : stagingBeside(target, token);
  const firstMade = await writing(target.path, () => makeStaging(base));
  const made = await lstat(base, { bigint: true });
  const helper = await PosixHelper.start(context.signal).catch(() => null);
  try {
    const flusher = await Flusher.open(helper, base);
    return await new FilesRun(work, context, helper, base, flusher).run();
  } catch (error) {
    context.log.debug('the restore is undone', { reason: isFailure(error) ? error.code : reasonOf(error) });
    await removeStaging(base, made.ino, firstMade).catch((problem: unknown) =>
      context.log.warn('what was restored could not be removed', { path: base, reason: reasonOf(problem) }),
    );
    throw error;
  } finally {
    await helper?.[Symbol.asyncDispose]();
  }
}

/** Gives the first of the directories above it that had to be made. */
async function makeStaging(base: string): Promise<string | undefined> {
  const first = await mkdir(dirname(base), { recursive: true });
  await mkdir(base, { mode: 0o700 });
  return first;
}

/** Only what was made here: by now something else may have the name, what was at the target before above all. */
async function removeStaging(base: string, inode: bigint, firstMade: string | undefined): Promise<void> {
  if (!(await isThere(base))) return;
  if ((await lstat(base, { bigint: true })).ino === inode) await removeTree(Buffer.from(base));
  if (firstMade === undefined) return;
  for (let path = dirname(base); path.startsWith(firstMade); path = dirname(path)) await rmdir(path);
}
