import type { BigIntStats } from 'node:fs';
import { lstat, rename, unlink } from 'node:fs/promises';
import { failure, reasonOf, type HoldfastError } from '../../kernel/errors/failure.ts';
import { Hold, inUse } from './hold.ts';
import { holderOf, isOpenHere } from './holder.ts';
import { addName, exists, freeName, moveTo } from './names.ts';
import { besides } from './restore-plan.ts';
import { writing } from './write-failure.ts';

export interface SwapOf {
  readonly file: string;
  readonly mode: 'create' | 'replace';
  /** The restored database, on the same file system. */
  readonly staged: string;
  /** What the old one is to be called; a number is added when there is one already. */
  readonly keptAs: string;
}

interface Move {
  readonly from: string;
  readonly to: string;
}

/**
 * One database on its way into its place. From {@link begin} to {@link end} nobody else can read or write the old one; it
 * is moved aside with what lies beside it, and none of its bytes is changed.
 */
export class Swap {
  readonly #of: SwapOf;
  #hold: Hold | null = null;
  /** It was in WAL mode, and was set to rollback mode. */
  #lostWal = false;
  #kept: string | null = null;
  readonly #aside: Move[] = [];
  /** The restored one: as it was just before and just after it came into place. */
  #placed: { readonly before: BigIntStats; readonly after: BigIntStats } | null = null;

  constructor(of: SwapOf) {
    this.#of = of;
  }

  get file(): string {
    return this.#of.file;
  }

  /** Where what was there before is; null when nothing was. */
  get replaced(): string | null {
    return this.#kept ?? this.#aside[0]?.to ?? null;
  }

  /** Where the old one is by now; null when there was none. */
  get kept(): string | null {
    return this.#kept;
  }

  /** Takes hold of what is to be replaced. Throws `sqlite_in_use`. Moves nothing. */
  async begin(): Promise<void> {
    const { file, mode, staged } = this.#of;
    if (mode === 'create') return;
    if (isOpenHere(file)) throw inUse(file, 'this process itself');
    if (await exists(file))
      this.#hold = await writing(file, async () => await Hold.take(file, `${staged}-lock`));
  }

  /** The database and what lies beside it, as far as it is to be replaced. */
  async files(): Promise<readonly string[]> {
    const { file, mode } = this.#of;
    return mode === 'create' ? [] : [file, ...(await besides(file))];
  }

  /** Puts the restored one in place. `seesAll`: it is known that no process has the old one open. */
  async place(seesAll: boolean): Promise<void> {
    const { file, staged } = this.#of;
    await writing(file, async () => {
      const before = await lstat(staged, { bigint: true });
      if (this.#of.mode === 'create') await this.#refuseLeftBeside();
      else await this.#moveAside(seesAll);
      // What is there now is the file that was just given its second name, and is held.
      if (this.#kept !== null && (await exists(file))) await rename(staged, file);
      else await moveTo(staged, file);
      this.#placed = { before, after: await lstat(file, { bigint: true }) };
    });
  }

  async #refuseLeftBeside(): Promise<void> {
    const [target] = await besides(this.#of.file);
    if (target !== undefined) throw failure('restore_target_exists', { target, detail: '' });
  }

  async #moveAside(seesAll: boolean): Promise<void> {
    const { file, keptAs, staged } = this.#of;
    const beside = await besides(file);
    const kept = await freeName(keptAs);
    if (this.#hold !== null) {
      const held = await lstat(this.#hold.isNamed ? `${staged}-lock` : file);
      if (!isSameFile(await lstat(file), held)) throw inUse(file, null);
      // Where a log is left it stays as it is, with its database: nobody can tell whether they belong together.
      const hasLog = (await Promise.all(beside.map(holdsSomething))).some(Boolean);
      if (!hasLog && !(seesAll && this.#hold.isNamed)) this.#leaveWal();
      if (await addName(file, kept)) this.#kept = kept;
    }
    for (const from of beside) {
      const to = kept + from.slice(file.length);
      if (await moved(from, to)) this.#aside.push({ from, to });
    }
    if (this.#hold === null || this.#kept !== null) return;
    await moveTo(file, kept);
    this.#kept = kept;
  }

  #leaveWal(): void {
    if (this.#hold?.isWal() !== true) return;
    try {
      this.#hold.setMode('delete');
    } catch (error) {
      const [path, mend] = [this.file, 'mend that and run the same command again'];
      throw failure('restore_write_failed', { path, reason: reasonOf(error), mend }, { cause: error });
    }
    this.#lostWal = true;
  }

  /** Whether somebody who has the old one open is kept waiting until {@link end}. */
  get isLocked(): boolean {
    return this.#hold?.isLocked === true;
  }

  /** What is to be said of the old one, when all are in place and before it is let go of. `holder` has it open. */
  conclude(holder: string | null): readonly HoldfastError[] {
    const kept = this.#kept ?? '';
    const said: HoldfastError[] = [];
    if (holder !== null) {
      said.push(failure('sqlite_old_still_open', { holder, file: this.file, kept }));
      try {
        this.#leaveWal();
      } catch {
        // All is in place: what there is to say has been said.
      }
    }
    if (this.#lostWal) said.push(failure('sqlite_kept_without_wal', { kept }));
    return said;
  }

  /**
   * Puts the old one back, if what was put in place is still that, and nobody uses it. Resolves with what was left as it
   * is, for people, or null.
   */
  async takeBack(): Promise<string | null> {
    const { file } = this.#of;
    if (this.#placed !== null && !(await this.#takeBackRestored())) {
      const old = this.replaced === null ? '' : `, and ${this.replaced} is what was there before`;
      return `${file} is the restored database${old}`;
    }
    if (this.#placed === null && !(await this.#takeBackName()))
      return `${this.#kept} is what was ${file} before, which somebody has made anew`;
    const left: string[] = [];
    for (const { from, to } of this.#aside.toReversed())
      await moveTo(to, from).catch(() => left.push(`${to} is what was ${from}`));
    try {
      if (this.#lostWal) this.#hold?.setMode('wal');
    } catch {
      left.push(`${file} is in rollback mode, and was in WAL mode`);
    }
    return left.length === 0 ? null : left.join('; ');
  }

  async #takeBackRestored(): Promise<boolean> {
    const { file, staged } = this.#of;
    let hold: Hold | null = null;
    try {
      // The lock gives it another name, and so another ctime.
      if (!(await this.#isAsPlaced({ ctime: true }))) return false;
      hold = await Hold.take(file, `${staged}-back`);
      if (!(await this.#isAsPlaced({ ctime: false })) || holderOf(file) !== null) return false;
      if ((await besides(file)).length > 0) return false;
      // Who opens it from now on and waits shall not write it when it is gone.
      if (hold.isWal()) hold.setMode('delete');
      if (this.#kept === null) await unlink(file);
      else await rename(this.#kept, file);
      return true;
    } catch {
      return false;
    } finally {
      await hold?.release();
    }
  }

  async #isAsPlaced({ ctime }: { readonly ctime: boolean }): Promise<boolean> {
    if (this.#placed === null) return false;
    const { before, after } = this.#placed;
    const now = await lstat(this.file, { bigint: true });
    const isUnwritten = now.size === before.size && now.mtimeNs === before.mtimeNs;
    return isSameFile(now, before) && isUnwritten && (!ctime || now.ctimeNs === after.ctimeNs);
  }

  /** It has its second name, and the restored one has not come in its place. */
  async #takeBackName(): Promise<boolean> {
    if (this.#kept === null) return true;
    try {
      if (!(await exists(this.file))) await moveTo(this.#kept, this.file);
      else if (isSameFile(await lstat(this.file), await lstat(this.#kept))) await unlink(this.#kept);
      else return false;
      return true;
    } catch {
      return false;
    }
  }

  /** Lets go of the old one. */
  async end(): Promise<void> {
    const hold = this.#hold;
    this.#hold = null;
    await hold?.release();
  }
}

function isSameFile<T extends number | bigint>(
  a: { readonly dev: T; readonly ino: T },
  b: { readonly dev: T; readonly ino: T },
): boolean {
  return a.dev === b.dev && a.ino === b.ino;
}

/** A log or a journal, not the index of a log or what SQLite leaves of a journal that is done with. */
async function holdsSomething(beside: string): Promise<boolean> {
  if (beside.endsWith('-shm')) return false;
  const stats = await lstat(beside).catch(() => null);
  return stats !== null && stats.size > 0;
}

/** False when it is gone by itself. */
async function moved(from: string, to: string): Promise<boolean> {
  try {
    await moveTo(from, to);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return false;
    throw error;
  }
}
