import { chmod, chown, lstat } from 'node:fs/promises';
import type { RestoreContext } from '../../port.ts';
import type { Areas } from './areas.ts';
import { withOurBlock } from './auto-conf.ts';
import { ContentWriter } from './content.ts';
import { damaged } from './damaged.ts';
import { makeDirectories, type Skeleton } from './directories.ts';
import { type Effective, effectiveSettings } from './effective.ts';
import { autoConf, controlPath, itemOf, labelPath, mapPath, markName } from './entries.ts';
import { writeFailure } from './failure.ts';
import { flushAbove, flushDirectory } from './flush.ts';
import { type Mark } from './local-cluster.ts';
import { configNotes } from './notes.ts';
import { settleConfig } from './own-config.ts';
import { type ClusterRestoreWork } from './plan.ts';
import { recoveryBlock } from './recovery-block.ts';
import { removeExtra } from './remove-extra.ts';
import { sealTask } from './seal-task.ts';
import { SmallFiles } from './small-files.ts';
import { isOutsideConfig, readSmall, type Special } from './survey.ts';
import { mappedTablespaces } from './tablespace-map.ts';

/** What a restore has to tell beside what its plan said. */
export interface RunResult {
  readonly written: number;
  readonly kept: number;
  readonly removed: number;
  readonly replaced: readonly string[];
  readonly settings: Readonly<Record<string, string>>;
  readonly notes: readonly string[];
}

/** The steps of a restore, in their order. Directories for all of it are there and open. */
export class ClusterRun {
  readonly #work: ClusterRestoreWork;
  readonly #context: RestoreContext;
  readonly #areas: Areas;
  readonly #files: SmallFiles;
  /** Places that were made, and the directories above them that were there. */
  readonly #made: ReadonlyMap<string, string>;
  readonly #modeMask: number;

  constructor(
    work: ClusterRestoreWork,
    context: RestoreContext,
    areas: Areas,
    made: ReadonlyMap<string, string>,
  ) {
    this.#work = work;
    this.#context = context;
    this.#areas = areas;
    this.#files = new SmallFiles(areas, work.target.path, work.owner);
    this.#made = made;
    this.#modeMask = work.survey.groupAccess ? 0o750 : 0o700;
  }

  async run(): Promise<Omit<RunResult, 'replaced'>> {
    const { progress, signal } = this.#context;
    await this.#begin();
    const removed = await this.#clear();
    const skeleton = await this.#makeDirectories();
    progress.phase('writing files');
    const done = await this.#writeContents();
    progress.phase('writing the configuration');
    const config = await this.#configure(skeleton);
    signal.throwIfAborted();
    progress.phase('making it durable');
    await this.#seal([...skeleton.directories, ...config.made]);
    signal.throwIfAborted();
    await this.#finish(skeleton);
    return { ...done, removed, settings: config.settings, notes: config.notes };
  }

  /** From here on it is told that a restore is under way; and nobody but us gets in. */
  async #begin(): Promise<void> {
    const { options, metadata, target, tablespaces, owner } = this.#work;
    const { base } = this.#areas.of(null);
    if (owner !== null) await chown(base, 0, 0);
    await chmod(base, 0o700);
    const self = { uid: process.geteuid?.() ?? 0, gid: process.getegid?.() ?? 0 };
    const mark: Mark = {
      holdfast_restore: 1,
      backup: options.backup,
      system_identifier: metadata.system_identifier,
      started_at: new Date(options.now()).toISOString(),
      state:
        'unfinished: run the same restore with --delta, and it goes on; a server does not start from this directory',
      owner: owner ?? self,
      tablespaces: Object.fromEntries(tablespaces.map(({ placed }) => [placed.oid, placed.location])),
    };
    await this.#files.putAtOnce(markName, `${JSON.stringify(mark, null, 2)}\n`);
    for (const [path, nearest] of this.#made) await flushAbove(path, nearest);
    if (!this.#made.has(target.path)) return;
    await flushDirectory(target.path);
  }

  async #clear(): Promise<number> {
    const { mode, target, tablespaces } = this.#work;
    if (mode !== 'delta') return 0;
    this.#context.progress.phase('removing what is not in the backup');
    const { base } = this.#areas.of(null);
    // First of all, and before anything else changes: without it no server starts.
    const there = await lstat(`${base}/global`).catch(() => null);
    if (there?.isDirectory() === true) await this.#files.remove(controlPath);
    return await removeExtra(this.#areas, target.path, tablespaces, this.#context);
  }

  async #makeDirectories(): Promise<Skeleton> {
    const { target, owner, tablespaces } = this.#work;
    return await makeDirectories({
      areas: this.#areas,
      context: this.#context,
      target: target.path,
      owner,
      tablespaces: tablespaces.map(({ placed }) => placed),
    });
  }

  async #writeContents(): Promise<{ readonly written: number; readonly kept: number }> {
    const { mode, target, owner } = this.#work;
    await using writer = new ContentWriter({
      areas: this.#areas,
      context: this.#context,
      target: target.path,
      owner,
      compare: mode === 'delta',
      modeMask: this.#modeMask,
    });
    for await (const entry of this.#context.entries()) {
      const item = itemOf(entry);
      if (item?.type === 'file') await writer.add(item);
    }
    await writer.finish();
    return writer.done;
  }

  async #configure({ specials }: Skeleton): Promise<{
    readonly settings: Readonly<Record<string, string>>;
    readonly notes: readonly string[];
    readonly made: readonly string[];
  }> {
    const { options, target, tablespaces } = this.#work;
    const mode = this.#fileMode();
    const read = (one: Special | undefined): Promise<Buffer> => this.#read(one);
    const find = (path: string): Special | undefined => specials.find((one) => one.path === path);
    await this.#files.put(labelPath, await read(find(labelPath)), mode);
    const map = find(mapPath);
    if (map !== undefined) {
      const placed = tablespaces.map((state) => state.placed);
      const text = mappedTablespaces((await read(map)).toString(), placed);
      if (text !== '') await this.#files.put(mapPath, text, mode);
    }
    const outside = specials.filter(({ path }) => isOutsideConfig(path));
    const config = await settleConfig(outside, {
      files: this.#files,
      context: this.#context,
      target: target.path,
      mode,
      control: await this.#small(find(controlPath)),
    });
    const auto = find(autoConf);
    const autoText = auto === undefined ? '' : (await read(auto)).toString();
    const effective = await this.#effective(autoText);
    const { recovery, keepArchiving, backup } = options;
    const mayBeMore = effective.notFollowed.length > 0;
    const block = recoveryBlock({
      recovery,
      keepArchiving,
      settings: effective.settings,
      mayBeMore,
      serverMajor: Math.floor(this.#work.metadata.server_version_num / 10_000),
    });
    await this.#files.put(autoConf, withOurBlock(autoText, block, backup), mode);
    await this.#files.put(recovery.standby === true ? 'standby.signal' : 'recovery.signal', '', mode);
    const notes = await configNotes({ ...effective, target: target.path, keepArchiving, recovery });
    return { settings: Object.fromEntries(block), notes: [...config.notes, ...notes], made: config.made };
  }

  /** What the files set without our block: that is what may be wrong here. */
  async #effective(autoText: string): Promise<Effective> {
    const cleaned = withOurBlock(autoText, [], '');
    return await effectiveSettings(['postgresql.conf', autoConf], {
      file: async (path) => (path === autoConf ? cleaned : await this.#files.file(path)),
      directory: (path) => this.#files.directory(path),
    });
  }

  async #seal(paths: readonly string[]): Promise<void> {
    const { target, owner } = this.#work;
    const directories = paths.toReversed().map((path) => this.#areas.spot(path));
    const mode = this.#modeMask;
    await this.#context.run(sealTask, { target: target.path, owner, mode, directories });
    for (const oid of [null, ...this.#work.tablespaces.map(({ placed }) => placed.oid)])
      await flushDirectory(this.#areas.of(oid).base);
  }

  /** The last steps: after the first of them it can be started, and is complete. */
  async #finish({ specials }: Skeleton): Promise<void> {
    const { target, owner } = this.#work;
    const { base } = this.#areas.of(null);
    const control = specials.find(({ path }) => path === controlPath);
    await this.#files.putAtOnce(controlPath, await this.#read(control), this.#fileMode());
    try {
      await chmod(base, this.#modeMask);
      if (owner !== null) await chown(base, owner.uid, owner.gid);
    } catch (error) {
      throw writeFailure(target.path, error, target.path);
    }
    await this.#files.remove(markName);
  }

  async #read(special: Special | undefined): Promise<Buffer> {
    const bytes = await this.#small(special);
    this.#context.progress.advance(bytes.length);
    return bytes;
  }

  async #small(special: Special | undefined): Promise<Buffer> {
    if (special === undefined) throw damaged('a file that was there is missing');
    return await readSmall(special.stream, this.#context);
  }

  #fileMode(): number {
    return this.#modeMask & 0o640;
  }
}
