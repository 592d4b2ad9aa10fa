import { chmod, chown, link, lstat, mkdir, open, rename, rm, rmdir, unlink, utimes } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { failure, reasonOf } from '../../kernel/errors/failure.ts';
import { besides, type PlannedDatabase } from './restore-plan.ts';
import type { SqliteRestoreOptions } from './restore-options.ts';
import { retire } from './retire.ts';
import { writing } from './write-failure.ts';

interface Staged {
  readonly database: PlannedDatabase;
  readonly file: string;
  readonly hashes: string;
}

/** Something done that can be taken back. */
type Undo = () => Promise<void>;

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

  /** Puts all in place, or none. Resolves with where what was there before is kept, by file. */
  async placeAll(): Promise<ReadonlyMap<string, string>> {
    const stamp = new Date(this.#options.now()).toISOString().replaceAll(/[-:]|\.\d+/g, '');
    const staged = [...this.#staged.values()];
    // Before anything is moved: nobody may be using any of them.
    for (const { database } of staged) if (database.mode === 'replace') await retire(database.file);
    const undos: Undo[] = [];
    const replaced = new Map<string, string>();
    try {
      for (const one of staged) {
        const kept = await this.#place(one, stamp, undos);
        if (kept !== null) replaced.set(one.database.file, kept);
      }
      const changed = [...staged.map(({ file }) => file), ...this.#madeDirectories].map((path) =>
        dirname(path),
      );
      for (const directory of new Set(changed)) await syncDirectory(directory);
    } catch (error) {
      await takeBack(undos, error);
      throw error;
    }
    this.#isDone = true;
    return replaced;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const { file, hashes } of this.#staged.values()) {
      for (const one of [file, hashes]) await rm(one, { force: true });
    }
    if (this.#isDone) return;
    // Not if somebody has put something there.
    for (const directory of this.#madeDirectories.toReversed()) await rmdir(directory).catch(() => {});
  }

  async #place({ database, file: staged }: Staged, stamp: string, undos: Undo[]): Promise<string | null> {
    const { file, mode } = database;
    if (mode === 'create') {
      await writing(file, async () => await takeName(staged, file));
      undos.push(async () => await unlink(file));
      const [intruder] = await besides(file);
      if (intruder !== undefined) throw failure('restore_target_exists', { target: intruder, detail: '' });
      return null;
    }
    const kept = await freeName(`${file}.holdfast-replaced-${stamp}`);
    return await writing(file, async () => {
      const aside = await moveBesides(file, kept, undos);
      if (await linked(file, kept)) {
        undos.push(async () => {
          await rename(kept, file);
          // Two names of one file are left as they are by that.
          await rm(kept, { force: true });
        });
        await rename(staged, file);
      } else {
        await takeName(staged, file);
        undos.push(async () => await unlink(file));
      }
      const [intruder] = await besides(file);
      if (intruder !== undefined)
        throw failure('sqlite_in_use', { file, holder: `: ${intruder} has just appeared` });
      return (await exists(kept)) ? kept : (aside[0] ?? kept);
    });
  }
}

/** Each is tried, whatever becomes of the others. Throws when one cannot be done, saying which. */
async function takeBack(undos: readonly Undo[], because: unknown): Promise<void> {
  const outcomes: string[] = [];
  for (const undo of undos.toReversed())
    await undo().catch((error: unknown) => void outcomes.push(reasonOf(error)));
  if (outcomes.length === 0) return;
  const reason = `${reasonOf(because)}; and what was done could not be taken back: ${outcomes.join('; ')}`;
  const mend =
    'rename by hand what the message names: the old database is under the name with holdfast-replaced';
  throw failure('restore_write_failed', { path: 'the target', reason, mend }, { cause: because });
}

/** Both and what is between, the outer ones first. */
function directoriesBetween(outer: string, inner: string): string[] {
  return inner === outer ? [outer] : [...directoriesBetween(outer, dirname(inner)), inner];
}

/** What lies beside the old one goes with it, and never stays beside the new one. */
async function moveBesides(file: string, kept: string, undos: Undo[]): Promise<string[]> {
  const moved: string[] = [];
  for (const beside of await besides(file)) {
    const to = kept + beside.slice(file.length);
    await rename(beside, to);
    undos.push(async () => await rename(to, beside));
    moved.push(to);
  }
  return moved;
}

/** Gives a file another name, which must be free. */
async function takeName(from: string, to: string): Promise<void> {
  try {
    await link(from, to);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'EEXIST')
      throw failure('restore_target_exists', { target: to, detail: '' }, { cause: error });
    if (!lacksLinks(code)) throw error;
    if (await exists(to)) throw failure('restore_target_exists', { target: to, detail: '' });
    await rename(from, to);
    return;
  }
  await unlink(from);
}

/** Gives the old file its second name, so that there is no instant without a file. False when there is no old one. */
async function linked(file: string, kept: string): Promise<boolean> {
  try {
    await link(file, kept);
    return true;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT') return false;
    if (!lacksLinks(code)) throw error;
    await rename(file, kept);
    return true;
  }
}

function lacksLinks(code: string | undefined): boolean {
  return (
    code === 'EPERM' || code === 'ENOTSUP' || code === 'EOPNOTSUPP' || code === 'EMLINK' || code === 'ENOSYS'
  );
}

async function freeName(wanted: string): Promise<string> {
  for (let number = 1; ; number += 1) {
    const name = number === 1 ? wanted : `${wanted}-${number}`;
    if ((await besides(name)).length === 0 && !(await exists(name))) return name;
  }
}

async function exists(path: string): Promise<boolean> {
  try {
    await lstat(path);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code !== 'ENOENT';
  }
}

async function syncDirectory(directory: string): Promise<void> {
  const handle = await open(directory, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
