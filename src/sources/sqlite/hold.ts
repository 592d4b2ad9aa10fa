import { access, constants, rm } from 'node:fs/promises';
import type { DatabaseSync } from 'node:sqlite';
import { failure } from '../../kernel/errors/failure.ts';
import { codes, openReadWrite, sqliteCode } from './connection.ts';
import { holderOf } from './holder.ts';
import { sidecars } from './identity.ts';
import { addName } from './names.ts';
import { besides } from './restore-plan.ts';

/**
 * A database that nobody else can read or write: an exclusive lock on its file, taken through another name of it. So
 * SQLite sees nothing of what lies beside the database, finishes nothing and removes nothing there; and when the file has
 * lost its name to another one, no log or journal of this connection can come to lie beside that.
 */
export class Hold {
  /** Null for a file that SQLite cannot lock: no database, or a damaged one. */
  readonly #database: DatabaseSync | null;
  readonly #name: string | null;

  private constructor(database: DatabaseSync | null, name: string | null) {
    this.#database = database;
    this.#name = name;
  }

  /** Throws `sqlite_in_use` when somebody else has a lock. `name` must be free; it is removed by {@link release}. */
  static async take(file: string, name: string): Promise<Hold> {
    await access(file, constants.R_OK | constants.W_OK).catch((cause: unknown) => {
      const reason = 'you may not read and write it, so nobody can tell whether it is in use';
      const mend = 'give yourself the right to, or restore to another place';
      throw failure('restore_target_unusable', { target: file, reason, mend }, { cause });
    });
    const isNamed = await addName(file, name);
    try {
      // SQLite would use and remove what lies beside the file.
      if (!isNamed && (await besides(file)).length > 0) return new Hold(null, null);
      return new Hold(lock(isNamed ? name : file, file), isNamed ? name : null);
    } catch (error) {
      if (isNamed) await removeName(name);
      throw error;
    }
  }

  get isLocked(): boolean {
    return this.#database !== null;
  }

  /** It has a second name, and what this connection writes never comes to lie beside the first one. */
  get isNamed(): boolean {
    return this.#name !== null;
  }

  isWal(): boolean {
    return this.#database?.prepare('PRAGMA journal_mode').get()?.['journal_mode'] === 'wal';
  }

  /**
   * Sets the mode that is written into the database. In rollback mode a process that has the file open and waits cannot
   * write it any more when it has lost its name: SQLite looks for that there, and not in WAL mode.
   */
  setMode(mode: 'wal' | 'delete'): void {
    this.#database?.exec(`PRAGMA journal_mode = ${mode}`);
  }

  async release(): Promise<void> {
    this.#database?.close();
    if (this.#name !== null) await removeName(this.#name);
  }
}

function lock(name: string, file: string): DatabaseSync | null {
  let database: DatabaseSync | undefined;
  try {
    database = openReadWrite(name);
    // The lock stays until the connection is closed. In WAL mode everybody who has the database open holds one too.
    database.exec('PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE; ROLLBACK');
    return database;
  } catch (error) {
    database?.close();
    const code = sqliteCode(error);
    if (code === undefined) throw error;
    if (code === codes.busy) throw inUse(file, holderOf(file), error);
    return null;
  }
}

export function inUse(file: string, holder: string | null, cause?: unknown): Error {
  return failure('sqlite_in_use', { file, holder: holder === null ? '' : ` by ${holder}` }, { cause });
}

async function removeName(name: string): Promise<void> {
  for (const ending of ['', ...sidecars]) await rm(name + ending, { force: true });
}
