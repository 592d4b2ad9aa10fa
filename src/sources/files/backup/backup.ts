import { failure } from '../../../kernel/errors/failure.ts';
import { pathText } from '../../../kernel/byte-path.ts';
import type { BackupContext, BackupOutcome } from '../../port.ts';
import { Emitter } from './emitter.ts';
import { LinkTable } from './links.ts';
import type { FilesMetadata } from '../metadata.ts';
import { Notes } from './notes.ts';
import { PosixHelper } from '../posix-helper.ts';
import { PreviousFiles } from './previous.ts';
import { findRoots, type Roots } from './roots.ts';
import type { ScanOptions } from './scan.ts';
import { Scanner } from './scanner.ts';
import { UnitReader } from './unit-reader.ts';
import { placeOf, planUnit, type Unit } from './units.ts';

export interface FilesBackupOptions {
  /** Absolute paths. */
  readonly paths: readonly string[];
  readonly exclude: readonly string[];
  readonly include: readonly string[];
  /** Empty: none. */
  readonly ignoreFile: string;
  readonly excludeCaches: boolean;
  readonly oneFileSystem: boolean;
  readonly xattrs: 'auto' | 'on' | 'off';
  /** Of this machine, to tell whether the backup before was taken here. */
  readonly host: string;
  /** Milliseconds since 1970. */
  readonly now: () => number;
  /** So many names of one directory, and so many files with several names, are held in memory; more are on disk. */
  readonly heldInMemory?: number;
}

const heldInMemory = 100_000;
/** While a big file is read, so many batches after it may be under way. */
const unitsAhead = 16;
const phaseMs = 1000;

/**
 * Backs up directories and files. What could not be read is named in the outcome, and the backup is then incomplete.
 * `files_paths_missing`, `files_paths_overlap`, `files_xattrs_unavailable`, `files_scan_failed`.
 */
export async function backupFiles(
  options: FilesBackupOptions,
  context: BackupContext,
): Promise<BackupOutcome> {
  const { signal } = context;
  context.progress.phase('looking for files');
  const roots = findRoots(options.paths, options.oneFileSystem);
  await using helper = await startHelper(options.xattrs, signal);
  using links = new LinkTable(options.heldInMemory ?? heldInMemory);
  await using previous = PreviousFiles.open(context, {
    host: options.host,
    nowMs: options.now(),
    wantsXattrs: helper !== null,
  });
  await using scanner = new Scanner(scanOptions(options, roots));
  return await new FilesBackup(options, context, roots, helper, links, previous).run(scanner);
}

/** How the paths are gone through: in the check before a backup as well. */
export function scanOptions(options: FilesBackupOptions, roots: Roots): ScanOptions {
  const { exclude, include, ignoreFile, excludeCaches, oneFileSystem } = options;
  const namesInMemory = options.heldInMemory ?? heldInMemory;
  return { roots: roots.found, exclude, include, ignoreFile, excludeCaches, oneFileSystem, namesInMemory };
}

async function startHelper(
  wish: FilesBackupOptions['xattrs'],
  signal: AbortSignal,
): Promise<PosixHelper | null> {
  if (wish === 'off') return null;
  const helper = await PosixHelper.start(signal);
  if (helper === null && wish === 'on') throw failure('files_xattrs_unavailable', {});
  return helper;
}

class FilesBackup {
  readonly #options: FilesBackupOptions;
  readonly #context: BackupContext;
  readonly #roots: Roots;
  readonly #links: LinkTable;
  readonly #previous: PreviousFiles | undefined;
  readonly #readsXattrs: boolean;
  readonly #stop = new AbortController();
  readonly #notes: Notes;
  readonly #reader: UnitReader;
  readonly #emitter: Emitter;
  #phaseAtMs = Number.NEGATIVE_INFINITY;

  constructor(
    options: FilesBackupOptions,
    context: BackupContext,
    roots: Roots,
    helper: PosixHelper | null,
    links: LinkTable,
    previous: PreviousFiles | undefined,
  ) {
    this.#options = options;
    this.#context = context;
    this.#roots = roots;
    this.#links = links;
    this.#previous = previous;
    this.#readsXattrs = helper !== null;
    this.#notes = new Notes(roots.missing, roots.found.length + roots.missing.length);
    const signal = AbortSignal.any([context.signal, this.#stop.signal]);
    this.#reader = new UnitReader(context, signal, helper, options.now);
    this.#emitter = new Emitter(context, this.#reader, links, this.#notes);
  }

  async run(scanner: Scanner): Promise<BackupOutcome> {
    const underWay: Promise<Unit>[] = [];
    try {
      for await (const batch of scanner.batches(this.#context.signal)) {
        const root = this.#roots.found[batch.root];
        if (root === undefined) throw new Error('a batch of no root');
        const unit = await planUnit(batch, root, this.#links, this.#previous, this.#context);
        this.#tellPhase(unit);
        const reading = this.#reader.read(unit);
        reading.catch(() => undefined); // Thrown when it is its turn.
        underWay.push(reading);
        if (underWay.length >= unitsAhead) await this.#addNext(underWay);
      }
      while (underWay.length > 0) await this.#addNext(underWay);
    } catch (error) {
      this.#stop.abort(error);
      await Promise.allSettled(underWay);
      throw error;
    }
    return this.#outcome();
  }

  async #addNext(underWay: Promise<Unit>[]): Promise<void> {
    const next = underWay.shift();
    if (next !== undefined) await this.#emitter.add(await next);
  }

  #tellPhase({ root, slots }: Unit): void {
    const now = this.#options.now();
    const directory = slots.find(({ found }) => found.kind === 'directory') ?? slots[0];
    if (directory === undefined || now - this.#phaseAtMs < phaseMs) return;
    this.#phaseAtMs = now;
    this.#context.progress.phase(`reading ${placeOf(root, directory.found.path)}`);
  }

  #outcome(): BackupOutcome {
    const { counts } = this.#notes;
    const { unchanged, ...found } = this.#emitter.counts;
    const metadata: FilesMetadata = {
      schema: 1,
      roots: this.#roots.found.map(({ given, at }) => ({ path: pathText(Buffer.from(given)), at })),
      ...found,
      unchanged,
      changed: counts.changed,
      vanished: counts.vanished,
      unreadable: counts.unreadable,
      left_out: counts.left_out,
      xattrs: this.#readsXattrs,
      ...(counts.xattrs > 0 ? { unreadable_xattrs: counts.xattrs } : {}),
    };
    return { metadata, warnings: this.#notes.warnings(), incomplete: this.#notes.incomplete() };
  }
}
