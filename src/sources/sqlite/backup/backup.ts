import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { pathText } from '../../../kernel/byte-path.ts';
import { asFailure, type HoldfastError } from '../../../kernel/errors/failure.ts';
import { plural } from '../../../kernel/plural.ts';
import { Semaphore } from '../../../kernel/queue.ts';
import type { BackupContext, BackupOutcome } from '../../port.ts';
import { warningOf } from '../judge.ts';
import { backUpDatabase, type DatabaseDone } from './database.ts';
import { commonDirectory, entryPath } from '../entry-paths.ts';
import { findDatabases, type Found } from './find.ts';
import { keepUnchanged } from './keep.ts';
import type { SqliteMetadata } from '../metadata.ts';
import { earlierDatabases } from './previous.ts';
import { makeTemporary } from './temporary.ts';

export interface SqliteBackupOptions {
  /** Absolute paths and patterns. */
  readonly paths: readonly string[];
  readonly exclude: readonly string[];
  readonly check: 'quick' | 'full' | 'none';
  readonly lockWaitMs: number;
  /** For the copies that are read. */
  readonly temporaryDirectory: string;
  /** Lower-case hexadecimal digits, two a byte. */
  readonly randomHex: (bytes: number) => string;
  /** Of this machine, to tell whether the backup before was taken here. */
  readonly host: string;
  /** Milliseconds since 1970. */
  readonly now: () => number;
}

/** A database in the backup, or why it is not. */
interface Result {
  readonly found: Found;
  readonly done: DatabaseDone | null;
  readonly error: HoldfastError | null;
  readonly isUnchanged: boolean;
}

/**
 * Backs up SQLite databases while they are in use, each in one consistent state of its own. One that cannot be backed up
 * is named, and the backup marked as incomplete; when none can, rejects with the first one's error.
 */
export async function backupSqlite(
  options: SqliteBackupOptions,
  context: BackupContext,
): Promise<BackupOutcome> {
  context.progress.phase('looking for databases');
  const finds = await findDatabases(options, context.signal);
  const directory = commonDirectory(finds.databases.map(({ path }) => path));
  const results = await backUpAll(options, finds.databases, directory, context);
  const failed = [...finds.failed, ...failures(results)];
  const [firstFailed] = failed;
  if (firstFailed !== undefined && results.every(({ done }) => done === null)) throw firstFailed.error;
  for (const { done } of results) for (const entry of done?.entries ?? []) await context.addEntry(entry);
  const incomplete = incompleteness(
    results,
    failed.map(({ path }) => path),
  );
  return {
    metadata: metadataOf(directory, results, failed.length),
    warnings: [
      ...failed.map(({ error }) => warningOf(error)),
      ...finds.warnings.map(warningOf),
      ...results.flatMap(({ done }) => done?.warnings ?? []),
    ],
    ...(incomplete === '' ? {} : { incomplete }),
  };
}

async function backUpAll(
  options: SqliteBackupOptions,
  databases: readonly Found[],
  directory: string,
  context: BackupContext,
): Promise<readonly Result[]> {
  const earlier = await earlierDatabases(context);
  // A database that was moved is known again by its entry: pages are compared by what is in them.
  const byPath = new Map([...earlier.values()].map((one) => [one.entry.path, one]));
  const kept = await keepUnchanged(databases, earlier, options, context);
  const waiting = databases.filter((_, index) => kept[index] === null);
  context.progress.total(waiting.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0));
  const temporary = await makeTemporary(options.temporaryDirectory, options.randomHex(8), options.now());
  try {
    const places = new Semaphore(context.jobs);
    return await allOf(
      databases.map(async (found, index): Promise<Result> => {
        const done = kept[index] ?? null;
        if (done !== null) return { found, done, error: null, isUnchanged: true };
        using _place = await places.acquire(context.signal);
        const path = entryPath(directory, found.path);
        return await backUpOne(
          {
            found,
            path,
            earlier: earlier.get(pathText(Buffer.from(found.path))) ?? byPath.get(path) ?? null,
            directory: join(temporary, String(index)),
            check: options.check,
            lockWaitMs: options.lockWaitMs,
            now: options.now,
          },
          context,
        );
      }),
    );
  } finally {
    await rm(temporary, { recursive: true, force: true });
  }
}

/** Everything has come to its end before this settles: nothing writes into a directory that is removed. */
async function allOf<T>(promises: readonly Promise<T>[]): Promise<T[]> {
  await Promise.allSettled(promises);
  return await Promise.all(promises);
}

async function backUpOne(job: Parameters<typeof backUpDatabase>[0], context: BackupContext): Promise<Result> {
  const { found } = job;
  try {
    context.signal.throwIfAborted();
    return { found, done: await backUpDatabase(job, context), error: null, isUnchanged: false };
  } catch (error) {
    context.signal.throwIfAborted();
    const known = asFailure(error);
    if (!known.code.startsWith('HF-51')) throw error;
    return { found, done: null, error: known, isUnchanged: false };
  }
}

function failures(results: readonly Result[]): { readonly path: string; readonly error: HoldfastError }[] {
  return results.flatMap(({ found, error }) => (error === null ? [] : [{ path: found.path, error }]));
}

/** What should be in the backup and is not, for people; empty when everything is. */
function incompleteness(results: readonly Result[], failed: readonly string[]): string {
  const flaws = results.flatMap(({ found, done }) =>
    done === null || done.flaw === null ? [] : [`${found.path} ${done.flaw}`],
  );
  const missing =
    failed.length === 0
      ? []
      : [`${plural(failed.length, 'database')} could not be backed up: ${failed.join(', ')}`];
  return [...missing, ...flaws].join('; ');
}

function metadataOf(directory: string, results: readonly Result[], failed: number): SqliteMetadata {
  const done = results.flatMap((result) => (result.done === null ? [] : [result.done]));
  return {
    schema: 1,
    directory: pathText(Buffer.from(directory)),
    databases: done.length,
    bytes: done.reduce((sum, { bytes }) => sum + bytes, 0),
    unchanged: results.filter(({ isUnchanged }) => isUnchanged).length,
    damaged: done.filter(({ meta }) => meta.check.result === 'damaged').length,
    failed,
  };
}
