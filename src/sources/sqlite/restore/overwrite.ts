import { access, chmod, chown, constants, rm, stat, utimes } from 'node:fs/promises';
import type { Stats } from 'node:fs';
import { failure, isFailure, type HoldfastError } from '../../../kernel/errors/failure.ts';
import type { RestoreContext } from '../../port.ts';
import { copiesDiffer } from './copies-differ.ts';
import { holderOf, isOpenHere } from '../holder.ts';
import { look, type Look } from '../look.ts';
import { freeName } from './names.ts';
import { overwriteDatabase, overwriteModule } from './overwrite-task.ts';
import { copyStill } from '../still-copy.ts';
import { anotherFile, inUse, isSameFile, statsOf, type Way, type WayOf } from './way.ts';
import { sqliteWriteFailure, writing } from './write-failure.ts';

/** How long a database may be locked by others before a restore in its place gives up. */
const waitMs = 10_000;
/** How often a journal is looked at that may be somebody's who is writing, some 50 ms apart. */
const settleTries = 10;

/** For a database in the place of the restored one: SQLite overwrites it, after a copy of it was made. */
export class Overwrite implements Way {
  readonly #of: WayOf;
  readonly #context: RestoreContext;
  readonly #now: () => number;
  readonly warnings: HoldfastError[] = [];
  #replaced: string | null = null;
  #before: Stats | null = null;

  /** `now`: milliseconds since 1970. */
  constructor(of: WayOf, context: RestoreContext, now: () => number) {
    this.#of = of;
    this.#context = context;
    this.#now = now;
  }

  get replaced(): string | null {
    return this.#replaced;
  }

  /** False when SQLite does not take the old one for a database; then nothing was changed. Throws `sqlite_in_use`. */
  async place(): Promise<boolean> {
    const { file, staged, keptAs } = this.#of;
    if (isOpenHere(file)) throw inUse(file, 'this process itself');
    await refuseForbidden(file);
    const kept = await freeName(keptAs);
    const before = await statsOf(file);
    this.#before = await stat(file);
    const seen = await writing(file, () => Promise.resolve(lookAt(file)));
    if (seen === null) return false;
    const found = seen.hasJournal ? await this.#keepAsFound(kept) : null;
    const input = { file, from: staged, kept, waitMs };
    const outcome = await writing(file, async () => await this.#context.run(overwriteModule, input));
    if (outcome.result !== 'done' && found !== null) await removeAll(found);
    if (outcome.result === 'busy') throw inUse(file, holderOf(file));
    if (outcome.result === 'unusable') return false;
    if (outcome.result === 'failed') {
      // Then it is taken back, from the copy.
      if (outcome.isChanged) this.#replaced = kept;
      throw sqliteWriteFailure(file, outcome);
    }
    // Taken back would be what somebody else has put there.
    if (!isSameFile(before, await statsOf(file))) {
      const reason = inUse(file, anotherFile).message;
      throw failure('sqlite_not_taken_back', { reason, left: `${kept} is what was there before` });
    }
    this.#replaced = kept;
    if (found !== null) this.warnings.push(failure('sqlite_kept_as_found', { file, found, kept }));
    await writing(file, async () => await dress(file, await stat(staged)));
    return true;
  }

  /** A journal is rolled back by whoever opens its database, and so by SQLite here; it may be that of another one. */
  async #keepAsFound(kept: string): Promise<string | null> {
    const { file } = this.#of;
    const { signal } = this.#context;
    const found = await freeName(`${kept}.found`);
    const patience = { signal, deadlineMs: 0, nowMs: this.#now };
    for (let tries = 0; tries < settleTries && hasLiveJournal(file); tries += 1)
      if ((await writing(found, () => copyStill(file, found, ['-journal'], patience))) !== null) return found;
    // Somebody is writing: it is that program's, and it finishes it or SQLite does.
    await removeAll(found);
    return null;
  }

  /** What was written since to the restored one is kept as well. */
  async takeBack(): Promise<string | null> {
    const { file, staged, keptAs } = this.#of;
    const old = this.#replaced;
    if (old === null) return null;
    const since = await freeName(`${keptAs}-restored`);
    // Not as a task of the restore: that has come to its end.
    const { signal } = new AbortController();
    const outcome = await overwriteDatabase({ file, from: old, kept: since, waitMs }, { signal });
    if (outcome.result !== 'done')
      return `${file} is the restored database, and ${old} is what was there before`;
    if (this.#before !== null) await dress(file, this.#before).catch(() => {});
    await removeAll(old);
    this.#replaced = null;
    if (copiesDiffer(staged, since))
      return `${since} is the restored database with what was written to it since`;
    await removeAll(since);
    return null;
  }
}

/**
 * Null for what is no database, or has a log beside it that is not its own: SQLite would make a mixture of them, and
 * beside an empty file it removes whatever lies there.
 */
function lookAt(file: string): Look | null {
  try {
    const seen = look(file);
    const { wal, journal } = seen.identity;
    const isAlone = (wal?.size ?? 0) === 0 && (journal?.size ?? 0) === 0;
    const isOne = seen.header !== null || (seen.isEmpty && isAlone);
    return isOne && seen.foreignWal === null ? seen : null;
  } catch (error) {
    if (isFailure(error)) return null;
    throw error;
  }
}

function hasLiveJournal(file: string): boolean {
  return lookAt(file)?.hasJournal === true;
}

async function refuseForbidden(file: string): Promise<void> {
  await access(file, constants.R_OK | constants.W_OK).catch((cause: unknown) => {
    const reason = 'you may not read and write it, so nobody can tell whether it is in use';
    const mend = 'give yourself the right to, or restore to another place';
    throw failure('restore_target_unusable', { target: file, reason, mend }, { cause });
  });
}

async function dress(file: string, { uid, gid, mode, atime, mtime }: Stats): Promise<void> {
  if (process.geteuid?.() === 0) await chown(file, uid, gid);
  await chmod(file, mode & 0o777);
  await utimes(file, atime, mtime);
}

async function removeAll(file: string): Promise<void> {
  for (const ending of ['', '-wal', '-shm', '-journal']) await rm(file + ending, { force: true });
}
