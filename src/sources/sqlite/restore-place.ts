import { chmod, chown, mkdir, rm, rmdir, utimes } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { failure, reasonOf, type HoldfastError } from '../../kernel/errors/failure.ts';
import { holdersOf, type Holders } from './holder.ts';
import { inUse } from './hold.ts';
import { syncDirectory } from './names.ts';
import type { PlannedDatabase } from './restore-plan.ts';
import type { SqliteRestoreOptions } from './restore-options.ts';
import { Swap } from './swap.ts';
import { writing } from './write-failure.ts';

interface Staged {
  readonly database: PlannedDatabase;
  readonly file: string;
  readonly hashes: string;
}

export interface Placed {
  /** Where what was there before is kept, by file. */
  readonly replaced: ReadonlyMap<string, string>;
  readonly warnings: readonly HoldfastError[];
}

/** How long those wait who opened an old database in the instant before it was replaced; most give up sooner. */
const patienceMs = 30_000;
const pauseMs = 20;

/** Where restored databases wait until all are there, and their way into place. Removes what it made when it fails. */
export class Placing implements AsyncDisposable {
  readonly #options: Pick<SqliteRestoreOptions, 'force' | 'owner' | 'randomHex' | 'now'>;
  readonly #staged = new Map<string, Staged>();
  readonly #madeDirectories: string[] = [];
  #isDone = false;

  constructor(options: Pick<SqliteRestoreOptions, 'force' | 'owner' | 'randomHex' | 'now'>) {
    this.#options = options;
  }

  /** Chooses the names of the files that are not there yet, in a directory that is. */
  async stage(database: PlannedDatabase): Promise<{ readonly file: string; readonly hashes: string }> {
    const directory = dirname(database.file);
    const first = await writing(directory, async () => await mkdir(directory, { recursive: true }));
    if (first !== undefined) this.#madeDirectories.push(...directoriesBetween(first, directory));
    // Of a long name the beginning, for file systems take no names of more than 255 bytes.
    const name = Buffer.from(basename(database.file)).toString('utf8', 0, 180);
    const base = join(directory, `${name}.holdfast-restoring-${this.#options.randomHex(8)}`);
    const staged = { database, file: base, hashes: `${base}-hashes` };
    this.#staged.set(database.file, staged);
    return staged;
  }

  /** Gives a staged file owner, rights and time of the database that was backed up. */
  async dress({ file, meta }: PlannedDatabase): Promise<void> {
    const staged = this.#staged.get(file);
    if (staged === undefined) throw new Error('nothing is staged');
    await rm(staged.hashes, { force: true });
    await writing(staged.file, async () => {
      if (this.#options.owner && process.geteuid?.() === 0) await chown(staged.file, meta.uid, meta.gid);
      // Of setuid and the like a database has no need.
      await chmod(staged.file, meta.mode & 0o777);
      const time = Number(BigInt(meta.mtime) / 1_000_000n) / 1000;
      await utimes(staged.file, time, time);
    });
  }

  /**
   * Puts all in place, or none. From before the first to after the last is moved nobody can read or write an old one.
   * Throws `sqlite_in_use` when somebody uses one; then nothing was moved.
   */
  async placeAll(signal: AbortSignal): Promise<Placed> {
    const stamp = new Date(this.#options.now()).toISOString().replaceAll(/[-:]|\.\d+/g, '');
    const swaps = [...this.#staged.values()].map(({ database: { file, mode }, file: staged }) => {
      return new Swap({ file, mode, staged, keptAs: `${file}.holdfast-replaced-${stamp}` });
    });
    try {
      await refuseUsed(swaps);
      for (const swap of swaps) await swap.begin();
      // Who has come since waits for the locks, and has not read anything yet.
      const { isComplete } = await refuseUsed(swaps);
      await this.#place(swaps, isComplete);
      this.#isDone = true;
      const warnings = await concluded(swaps, signal);
      const replaced = swaps.flatMap((swap) =>
        swap.replaced === null ? [] : [[swap.file, swap.replaced] as const],
      );
      return { replaced: new Map(replaced), warnings };
    } finally {
      for (const swap of swaps) await swap.end();
    }
  }

  async #place(swaps: readonly Swap[], seesAll: boolean): Promise<void> {
    const begun: Swap[] = [];
    try {
      for (const swap of swaps) {
        begun.push(swap);
        await swap.place(seesAll);
      }
      const changed = [...swaps.map(({ file }) => file), ...this.#madeDirectories].map((path) =>
        dirname(path),
      );
      for (const directory of new Set(changed)) await syncDirectory(directory);
    } catch (error) {
      await takeBack(begun, error);
      throw error;
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const { file, hashes } of this.#staged.values()) {
      for (const one of [file, hashes]) await rm(one, { force: true });
    }
    if (this.#isDone) return;
    // Not if somebody has put something there.
    for (const directory of this.#madeDirectories.toReversed()) await rmdir(directory).catch(() => {});
  }
}

/** Throws `sqlite_in_use` when another process has one of them open, or what lies beside it. */
async function refuseUsed(swaps: readonly Swap[]): Promise<Holders> {
  const owners = new Map<string, string>();
  for (const swap of swaps) for (const file of await swap.files()) owners.set(file, swap.file);
  const holders = holdersOf([...owners.keys()]);
  for (const [open, holder] of holders.byFile) throw inUse(owners.get(open) ?? open, holder);
  return holders;
}

/**
 * Waits until nobody has an old one open, keeping its lock: a process that had its file open when it lost its name would
 * take the journal or log of the new one for that of the old one.
 */
async function concluded(swaps: readonly Swap[], signal: AbortSignal): Promise<readonly HoldfastError[]> {
  const deadlineMs = performance.now() + patienceMs;
  const kept = swaps.flatMap((swap) => swap.kept ?? []);
  for (;;) {
    const { byFile } = holdersOf(kept);
    const isWorthWaiting = swaps.some(({ kept, isLocked }) => isLocked && kept !== null && byFile.has(kept));
    if (!isWorthWaiting || signal.aborted || performance.now() >= deadlineMs)
      return swaps.flatMap((swap) => swap.conclude(byFile.get(swap.kept ?? '') ?? null));
    await delay(pauseMs);
  }
}

/** Each is tried, whatever becomes of the others. Throws when one cannot be done, saying what is where. */
async function takeBack(swaps: readonly Swap[], because: unknown): Promise<void> {
  const left: string[] = [];
  for (const swap of swaps.toReversed()) {
    const outcome = await swap.takeBack().catch((error: unknown) => `${swap.file}: ${reasonOf(error)}`);
    if (outcome !== null) left.push(outcome);
  }
  if (left.length === 0) return;
  const reason = reasonOf(because);
  throw failure('sqlite_not_taken_back', { reason, left: left.join('; ') }, { cause: because });
}

/** Both and what is between, the outer ones first. */
function directoriesBetween(outer: string, inner: string): string[] {
  return inner === outer ? [outer] : [...directoriesBetween(outer, dirname(inner)), inner];
}
