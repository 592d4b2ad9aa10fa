import { realpath, rm, stat } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { pathText } from '../../kernel/byte-path.ts';
import type { BackupContext, BackupOutcome } from '../port.ts';
import { backUpDatabase } from './backup/database.ts';
import type { SqliteMetadata } from './metadata.ts';
import { earlierDatabases } from './backup/previous.ts';
import { makeTemporary } from './backup/temporary.ts';

export interface SqliteImportOptions {
  /** Absolute. */
  readonly path: string;
  /** What the database is called in the backup, as the backup that it was exported from calls it. */
  readonly storedPath: string | undefined;
  readonly lockWaitMs: number;
  /** For the copy that is read where the file cannot be. */
  readonly temporaryDirectory: string;
  readonly randomHex: (bytes: number) => string;
  /** Milliseconds since 1970. */
  readonly now: () => number;
}

/** Makes a backup of kind `sqlite` of a database in a file, under the name that it was exported from. */
export async function importSqliteFile(
  options: SqliteImportOptions,
  context: BackupContext,
): Promise<BackupOutcome> {
  const { path, temporaryDirectory, randomHex, lockWaitMs, now } = options;
  const name = safePath(options.storedPath) ?? pathText(Buffer.from(basename(path)));
  const { size } = await stat(path);
  context.progress.total(size);
  const earlier = [...(await earlierDatabases(context)).values()].find(({ entry }) => entry.path === name);
  const temporary = await makeTemporary(temporaryDirectory, randomHex(8), now());
  const job = {
    found: { path, file: await realpath(path), sizeBytes: size },
    path: name,
    earlier: earlier ?? null,
    directory: join(temporary, 'copy'),
    check: 'full',
    lockWaitMs,
    now,
  } as const;
  const done = await removing(temporary, () => backUpDatabase(job, context));
  for (const entry of done.entries) await context.addEntry(entry);
  const metadata: SqliteMetadata = {
    schema: 1,
    directory: pathText(Buffer.from(join(path, '..'))),
    databases: 1,
    bytes: done.bytes,
    unchanged: 0,
    damaged: done.meta.check.result === 'damaged' ? 1 : 0,
    failed: 0,
  };
  const incomplete = done.flaw === null ? {} : { incomplete: `${name} ${done.flaw}` };
  return { metadata, warnings: done.warnings, ...incomplete };
}

async function removing<T>(directory: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

/** Anybody can write a description: a path in it that leads elsewhere counts for nothing. */
function safePath(path: string | undefined): string | undefined {
  if (path === undefined || /%(?:2f|00)/i.test(path)) return undefined;
  return path.split('/').some((part) => ['', '.', '..'].includes(part)) ? undefined : path;
}
