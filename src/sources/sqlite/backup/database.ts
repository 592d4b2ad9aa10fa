import { mkdir, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { Entry, StreamRef } from '../../../contract/stream.ts';
import { pathText } from '../../../kernel/byte-path.ts';
import { failure, type HoldfastError } from '../../../kernel/errors/failure.ts';
import type { BackupContext } from '../../port.ts';
import { checkModule, type Checked } from '../check-task.ts';
import { hashesPath } from '../entry-paths.ts';
import type { Found } from './find.ts';
import { identityOf, sameIdentity } from '../identity.ts';
import { judgeCheck, warningOf } from '../judge.ts';
import { entryKinds, type CheckResult, type DatabaseMeta } from '../metadata.ts';
import type { Earlier } from './previous.ts';
import { storeAnew } from './store-anew.ts';
import { fileChanged } from '../page-hash.ts';
import { storeModule, type Stored } from './store-task.ts';
import { takeModule, type TakeInput, type Taken } from './take-task.ts';

export interface DatabaseJob {
  readonly found: Found;
  readonly path: string;
  readonly earlier: Earlier | null;
  /** A directory for its copy that is not there yet. */
  readonly directory: string;
  readonly check: 'quick' | 'full' | 'none';
  readonly lockWaitMs: number;
  readonly now: () => number;
}

export interface DatabaseDone {
  readonly entries: readonly Entry[];
  readonly meta: DatabaseMeta;
  readonly bytes: number;
  /** `CODE: message`. */
  readonly warnings: readonly string[];
  /** What is wrong with what was backed up, for people; null when nothing is. */
  readonly flaw: string | null;
}

const emptyStream: StreamRef = { size_bytes: 0, root: null, depth: 0 };
const noHeader = {
  pageBytes: 0,
  journal: 'rollback',
  encoding: null,
  userVersion: 0,
  applicationId: 0,
} as const;

/** Backs up one database. Rejects with a coded error when it cannot be. Leaves no copy, however it ends. */
export async function backUpDatabase(job: DatabaseJob, context: BackupContext): Promise<DatabaseDone> {
  await mkdir(job.directory, { mode: 0o700 });
  try {
    return await new DatabaseBackup(job, context).run();
  } finally {
    await rm(job.directory, { recursive: true, force: true });
  }
}

class DatabaseBackup {
  readonly #job: DatabaseJob;
  readonly #context: BackupContext;

  constructor(job: DatabaseJob, context: BackupContext) {
    this.#job = job;
    this.#context = context;
  }

  async run(): Promise<DatabaseDone> {
    const first = await this.#attempt({ still: true, withoutWal: false });
    if (first.done !== null && !first.blamesWal) return first.done;
    // It changed while it was read as it lay there; or a log that was left beside it has made it a damaged one.
    const { done } = await this.#attempt({ still: false, withoutWal: first.blamesWal });
    const best =
      done === null || (first.done !== null && done.meta.check.result === 'damaged') ? first.done : done;
    if (best === null) throw failure('sqlite_changing', { file: this.#job.found.path });
    return best;
  }

  async #attempt(
    how: Pick<TakeInput, 'still' | 'withoutWal'>,
  ): Promise<{ readonly done: DatabaseDone | null; readonly blamesWal: boolean }> {
    const { found, directory, lockWaitMs, now, path } = this.#job;
    const { file } = found;
    this.#context.progress.phase(`reading ${path}`);
    const copy = join(directory, 'copy.db');
    const taken = await this.#context.run(takeModule, { file, copy, lockWaitMs, nowMs: now(), ...how });
    if (taken.read === null) return { done: await this.#done(taken, null, null), blamesWal: false };
    // The check first: what is stored in parts fills whatever time the other threads have.
    const [checked, stored] = await Promise.allSettled([this.#check(taken.read), this.#store(taken.read)]);
    if (taken.read === file && !sameIdentity(taken.identity, identityOf(file)))
      return { done: null, blamesWal: false };
    if (stored.status === 'rejected') throw readable(found.path, stored.reason);
    if (checked.status === 'rejected') throw checked.reason as Error;
    const done = await this.#done(taken, stored.value, checked.value);
    return { done, blamesWal: taken.usedLeftWal && checked.value?.result === 'damaged' };
  }

  async #store(read: string): Promise<Stored> {
    const { earlier, directory } = this.#job;
    const onProgress = (bytes: number): void => this.#context.progress.advance(bytes);
    const previous =
      earlier?.entry.stream === null || earlier?.entry.stream === undefined || !earlier.hashes?.stream
        ? null
        : {
            database: earlier.entry.stream,
            hashes: earlier.hashes.stream,
            pageBytes: earlier.meta.page_size,
          };
    if (previous === null) return await storeAnew({ read, directory, onProgress }, this.#context);
    return await this.#context.run(storeModule, { read, previous }, { onProgress });
  }

  async #check(file: string): Promise<Checked | null> {
    const { check } = this.#job;
    return check === 'none' ? null : await this.#context.run(checkModule, { file, level: check });
  }

  async #done(taken: Taken, stored: Stored | null, checked: Checked | null): Promise<DatabaseDone> {
    const { path, found, check } = this.#job;
    const warnings = taken.warnings.map(({ code, message }) => `${code}: ${message}`);
    const result: CheckResult = {
      level: check,
      result: checked?.result ?? (stored === null ? 'ok' : 'unknown'),
      problems: [...(checked?.problems ?? [])],
    };
    const meta = await this.#meta(taken, stored, result);
    const { problem, flaw } = this.#judge(result, stored);
    if (problem !== null) warnings.push(warningOf(problem));
    const stream = stored?.database ?? emptyStream;
    const entries: Entry[] = [{ path, kind: entryKinds.database, stream, meta }];
    if (stored !== null) {
      entries.push({
        path: hashesPath(path),
        kind: entryKinds.hashes,
        stream: stored.hashes,
        meta: { database: path, page_size: stored.header.pageBytes },
      });
    }
    this.#context.log.debug('database read', {
      file: found.file,
      way: taken.way,
      changed: stored?.pagesChanged,
    });
    return { entries, meta, bytes: stream.size_bytes, warnings, flaw };
  }

  async #meta(taken: Taken, stored: Stored | null, check: CheckResult): Promise<DatabaseMeta> {
    const { found, path } = this.#job;
    const stats = await stat(found.file, { bigint: true });
    const header = stored?.header ?? noHeader;
    return {
      file: pathText(Buffer.from(found.path)),
      page_size: header.pageBytes,
      pages: stored?.pages ?? 0,
      journal: header.journal,
      encoding: header.encoding,
      user_version: header.userVersion,
      application_id: header.applicationId,
      mode: Number(stats.mode & 0o7777n),
      uid: Number(stats.uid),
      gid: Number(stats.gid),
      mtime: taken.identity.main.mtime,
      way: taken.way,
      identity: taken.identity,
      check,
      hashes: stored === null ? null : hashesPath(path),
    };
  }

  #judge(
    check: CheckResult,
    stored: Stored | null,
  ): { readonly problem: HoldfastError | null; readonly flaw: string | null } {
    const file = this.#job.found.path;
    if (stored === null) {
      const pages = this.#job.earlier?.meta.pages ?? 0;
      const before = pages === 0 ? '' : `; it had ${pages} pages in the backup before`;
      return {
        problem: failure('sqlite_empty', { file, before }),
        flaw: pages === 0 ? null : 'is empty now',
      };
    }
    return judgeCheck(file, check);
  }
}

function readable(file: string, error: unknown): unknown {
  const isChange = error instanceof Error && error.message === fileChanged;
  return isChange ? failure('sqlite_changing', { file }, { cause: error }) : error;
}
