import { chmod, chown, mkdir, rm, rmdir, utimes } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { failure, reasonOf, type HoldfastError } from '../../../kernel/errors/failure.ts';
import type { RestoreContext } from '../../port.ts';
import { Aside } from './aside.ts';
import { holdersOf } from '../holder.ts';
import { exists, syncDirectory } from './names.ts';
import { Overwrite } from './overwrite.ts';
import { besides, type PlannedDatabase } from './plan.ts';
import type { SqliteRestoreOptions } from './options.ts';
import { inUse, type Way, type WayOf } from './way.ts';
import { writing } from './write-failure.ts';

interface Staged {
  readonly database: PlannedDatabase;
  readonly file: string;
  readonly hashes: string;
}

export interface Placed {
  /** Where what was there before is kept, by file; null where nothing was. */
  readonly replaced: ReadonlyMap<string, string | null>;
  readonly warnings: readonly HoldfastError[];
}

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

  /** Puts all in place, or none. Throws `sqlite_in_use` when somebody uses what is there; then that is as it was. */
  async placeAll(context: RestoreContext): Promise<Placed> {
    const stamp = new Date(this.#options.now()).toISOString().replaceAll(/[-:]|\.\d+/g, '');
    await refuseUsed([...this.#staged.values()].map(({ database }) => database));
    const ways = new Map<string, Way>();
    try {
      for (const { database, file: staged } of this.#staged.values()) {
        const of = { file: database.file, staged, keptAs: `${database.file}.holdfast-replaced-${stamp}` };
        await this.#place(of, database.mode, context, ways);
      }
      const changed = [...ways.keys(), ...this.#madeDirectories].map((path) => dirname(path));
      for (const directory of new Set(changed)) await syncDirectory(directory);
    } catch (error) {
      await takeBack(ways, error);
      throw error;
    }
    this.#isDone = true;
    return {
      replaced: new Map([...ways].map(([file, { replaced }]) => [file, replaced])),
      warnings: [...ways.values()].flatMap(({ warnings }) => warnings),
    };
  }

  /** Adds the way that it takes to `ways` before anything is changed. */
  async #place(
    of: WayOf,
    mode: 'create' | 'replace',
    context: RestoreContext,
    ways: Map<string, Way>,
  ): Promise<void> {
    if (mode === 'replace' && (await exists(of.file))) {
      const overwrite = new Overwrite(of, context, this.#options.now);
      ways.set(of.file, overwrite);
      if (await overwrite.place()) return;
    }
    context.signal.throwIfAborted();
    const aside = new Aside(of);
    ways.set(of.file, aside);
    await aside.place(mode);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const { file, hashes } of this.#staged.values()) {
      // When all is in place, what cannot be removed is no reason to call it failed.
      for (const one of [file, `${file}-wal`, `${file}-shm`, hashes])
        await rm(one, { force: true }).catch((error: unknown) => {
          if (!this.#isDone) throw error;
        });
    }
    if (this.#isDone) return;
    // Not if somebody has put something there.
    for (const directory of this.#madeDirectories.toReversed()) await rmdir(directory).catch(() => {});
  }
}

/**
 * Throws `sqlite_in_use` when another process has one of them open, or what lies beside it. SQLite's locks would keep
 * either from harm; but a program that goes on with what it remembers of the old one would mix it into the restored one.
 */
async function refuseUsed(databases: readonly PlannedDatabase[]): Promise<void> {
  const owners = new Map<string, string>();
  for (const { file, mode } of databases)
    if (mode === 'replace') for (const one of [file, ...(await besides(file))]) owners.set(one, file);
  for (const [open, holder] of holdersOf([...owners.keys()])) throw inUse(owners.get(open) ?? open, holder);
}

/** Each is tried, whatever becomes of the others. Throws when one cannot be done, saying what is where. */
async function takeBack(ways: ReadonlyMap<string, Way>, because: unknown): Promise<void> {
  const left: string[] = [];
  for (const [file, way] of [...ways].toReversed()) {
    const outcome = await way.takeBack().catch((error: unknown) => `${file}: ${reasonOf(error)}`);
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
