import { failure } from '../../../kernel/errors/failure.ts';
import { plural } from '../../../kernel/plural.ts';
import type { RestoreContext } from '../../port.ts';
import { filesMetadataSchema, type FilesMetadata } from '../metadata.ts';
import { Destinations } from './destination.ts';
import { locationBytes } from './location.ts';
import { givenTo, losesOwner, type Owners, ownersOf } from './owner.ts';
import type { FilesRestoreOptions } from './options.ts';
import { mountPoints } from './mounts.ts';
import { nearestPath, Selection } from './select.ts';
import {
  checkNoMount,
  checkRoom,
  checkWritable,
  examineTarget,
  stagingBeside,
  stagingWithin,
  type Target,
  unusable,
} from './target.ts';
import { remains } from './remains.ts';
import { type FileStep, type Step, walk } from './walk.ts';

/** What a restore needs beside what its summary says. */
export interface FilesRestoreWork {
  readonly options: FilesRestoreOptions;
  readonly target: Target;
  readonly selection: Selection;
  readonly owners: Owners;
  /** What is restored is put into the target piece by piece, and does not become the target. */
  readonly within: boolean;
  /** Paths of files that are not chosen but have a chosen name, and the first of these names. */
  readonly renamed: ReadonlyMap<string, string>;
  readonly hardlinks: number;
}

/** What was found out for a plan. */
export interface PlannedFiles {
  readonly mode: 'create' | 'replace' | 'add';
  readonly files: number;
  readonly directories: number;
  readonly links: number;
  readonly bytes: number;
  readonly warnings: readonly string[];
  readonly work: FilesRestoreWork;
}

interface Counts {
  files: number;
  directories: number;
  symlinks: number;
  hardlinks: number;
  bytes: number;
  /** Without files that have holes. */
  bytesOnDisk: number;
  longest: number;
  changed: number;
  otherOwners: number;
  withoutRights: number;
  hasRoot: boolean;
}

/** The longest path that the system takes, with the name of the staging directory in it. */
const longestPath = 4095;

/** Reads all entries once and keeps none; looks at the target and changes nothing. */
export async function makePlan(options: FilesRestoreOptions, context: RestoreContext): Promise<PlannedFiles> {
  const metadata = readMetadata(context.metadata);
  const selection = new Selection(options.only, metadata.roots);
  const target = await examineTarget(options.target);
  const mode = await modeOf(options, target, selection);
  const owners = ownersOf(options.owner);
  await selection.settle(() => context.entries());
  const destinations = mode === 'add' ? new Destinations(target.path, options.force) : undefined;
  const survey = new Survey(owners, selection, destinations);
  for await (const step of walk(context.entries(), selection)) {
    context.signal.throwIfAborted();
    await survey.add(step);
  }
  await checkSelection(selection, context);
  await survey.readRenamed(context);
  const { counts } = survey;
  const within = mode === 'add' || (target.found === 'empty' && (target.fixed !== null || !counts.hasRoot));
  if (within) await checkWritable(target, options.target);
  await checkSizes(options, target, within, counts);
  return {
    mode,
    files: counts.files,
    directories: counts.directories,
    links: counts.symlinks + counts.hardlinks,
    bytes: counts.bytes,
    warnings: [...warningsOf(counts, metadata, options), ...(await remains(target))],
    work: {
      options,
      target,
      selection,
      owners,
      within,
      renamed: survey.renamed,
      hardlinks: counts.hardlinks,
    },
  };
}

function readMetadata(metadata: Readonly<Record<string, unknown>>): FilesMetadata {
  const result = filesMetadataSchema.safeParse(metadata);
  if (result.success) return result.data;
  throw failure('object_damaged', {
    name: 'what the backup says of itself',
    reason: result.error.issues[0]?.message ?? '',
  });
}

async function modeOf(
  { target: given, force }: FilesRestoreOptions,
  target: Target,
  selection: Selection,
): Promise<PlannedFiles['mode']> {
  if (target.found !== 'full') return 'create';
  if (!selection.everything) return 'add';
  if (!force) throw failure('restore_target_exists', { target: given, detail: ' and is not empty' });
  if (target.fixed === null) {
    await checkNoMount(Buffer.from(target.path), given, await mountPoints(target.path));
    return 'replace';
  }
  const mend = 'restore to another place; or empty it first: an empty directory is filled where it is';
  throw unusable(given, `nothing else can take its place: ${target.fixed}`, mend);
}

/** Adds up what will be restored. */
class Survey {
  readonly counts: Counts = {
    files: 0,
    directories: 0,
    symlinks: 0,
    hardlinks: 0,
    bytes: 0,
    bytesOnDisk: 0,
    longest: 0,
    changed: 0,
    otherOwners: 0,
    withoutRights: 0,
    hasRoot: false,
  };
  readonly renamed = new Map<string, string>();
  readonly #owners: Owners;
  readonly #selection: Selection;
  readonly #destinations: Destinations | undefined;

  constructor(owners: Owners, selection: Selection, destinations: Destinations | undefined) {
    this.#owners = owners;
    this.#selection = selection;
    this.#destinations = destinations;
  }

  async add(step: Step): Promise<void> {
    const { counts } = this;
    if (step.type === 'leave') return;
    counts.longest = Math.max(counts.longest, locationBytes('', step.path).length);
    if (step.top) await this.#destinations?.of(step.path);
    if (step.type === 'hardlink') {
      this.#addHardlink(step.path, step.target);
      return;
    }
    if (losesOwner(step.meta, this.#owners)) counts.otherOwners += 1;
    if (step.type === 'symlink') counts.symlinks += 1;
    else if (step.type === 'file') this.#addFile(step);
    else {
      counts.directories += 1;
      counts.hasRoot ||= step.path === '.';
    }
  }

  /** Files whose other names are chosen are known only after their own place in the list has gone by. */
  async readRenamed(context: RestoreContext): Promise<void> {
    if (this.renamed.size === 0) return;
    const steps = walk(context.entries(), this.#selection, (path, file) => {
      if (this.renamed.has(path)) this.#addFile(file());
    });
    for await (const _ of steps) context.signal.throwIfAborted();
  }

  #addFile({ meta, stream }: FileStep): void {
    const { counts } = this;
    counts.files += 1;
    counts.bytes += stream.size_bytes;
    if (meta.sparse !== true) counts.bytesOnDisk += stream.size_bytes;
    if (meta.changed === true) counts.changed += 1;
    if (givenTo(meta, this.#owners, true).mode !== meta.mode) counts.withoutRights += 1;
  }

  #addHardlink(path: string, target: string): void {
    if (this.#selection.chooses(target) || this.renamed.has(target)) this.counts.hardlinks += 1;
    else this.renamed.set(target, path);
  }
}

async function checkSelection(selection: Selection, context: RestoreContext): Promise<void> {
  const { idle } = selection;
  if (idle === undefined) return;
  const near = await nearestPath(idle, context.entries());
  const suggestion = near === undefined ? '' : `; nearest: ${near}`;
  throw failure('restore_selects_nothing', { only: idle, suggestion });
}

async function checkSizes(
  { target: given }: FilesRestoreOptions,
  target: Target,
  within: boolean,
  counts: Counts,
): Promise<void> {
  const token = 'x'.repeat(tokenBytes * 2);
  const base = within ? stagingWithin(target, token) : stagingBeside(target, token);
  if (Buffer.byteLength(base) + counts.longest > longestPath)
    throw unusable(
      given,
      'the longest path would be longer than the system takes',
      'restore to a place with a shorter path',
    );
  const inodes = counts.files + counts.directories + counts.symlinks;
  await checkRoom(target, given, { bytes: counts.bytesOnDisk, inodes });
}

function warningsOf(counts: Counts, { unreadable }: FilesMetadata, { owner }: FilesRestoreOptions): string[] {
  const warnings: string[] = [];
  if (unreadable > 0)
    warnings.push(
      `${plural(unreadable, 'file')} could not be read when the backup was taken, and ${unreadable === 1 ? 'is' : 'are'} not in it`,
    );
  if (counts.changed > 0)
    warnings.push(
      `${plural(counts.changed, 'file')} changed while the backup was taken: what is restored may be from several moments`,
    );
  if (counts.otherOwners > 0)
    warnings.push(
      `owners of ${counts.otherOwners} of the paths are not restored: only root can give files to others (--no-owner: not wanted)`,
    );
  if (counts.withoutRights > 0)
    warnings.push(
      `${plural(counts.withoutRights, 'file')} had setuid or setgid rights and ${counts.withoutRights === 1 ? 'does' : 'do'} not get them, for the owner is another${owner ? '' : ' (--no-owner)'}`,
    );
  return warnings;
}

/** Of what makes the name of a staging directory its own. */
export const tokenBytes = 6;
