import type { Entry } from '../src/contract/stream.ts';
import { backupFiles, type FilesBackupOptions } from '../src/sources/files/backup/backup.ts';
import { filesMetadataSchema, type FilesMetadata } from '../src/sources/files/metadata.ts';
import type { BackupContext, BackupOutcome } from '../src/sources/port.ts';
import { MemoryBackup } from './memory-backup.ts';

/** Nothing is left out unless a test says so. The clock stands an hour ahead, so that nothing was changed just now. */
export function filesOptions(
  paths: readonly string[],
  more: Partial<FilesBackupOptions> = {},
): FilesBackupOptions {
  return {
    paths,
    exclude: [],
    include: [],
    ignoreFile: '.holdfastignore',
    excludeCaches: false,
    oneFileSystem: false,
    xattrs: 'auto',
    host: 'testhost',
    now: () => Date.now() + anHourMs,
    ...more,
  };
}

const anHourMs = 3_600_000;

export interface FilesBackedUp {
  readonly memory: MemoryBackup;
  readonly entries: readonly Entry[];
  readonly metadata: FilesMetadata;
  readonly warnings: readonly string[];
  readonly incomplete: string | undefined;
  readonly bytesRead: number;
}

export interface InMemoryOptions {
  /** Of a backup before, which this one builds on. */
  readonly after?: FilesBackedUp;
  /** When that was started; an hour from now unless given, so that nothing was changed shortly before. */
  readonly startedAtMs?: number;
  readonly memory?: MemoryBackup;
  readonly jobs?: number;
  readonly signal?: AbortSignal;
  /** Changes what the source is given. */
  readonly change?: (context: BackupContext) => BackupContext;
}

/** Backs up into memory. */
export async function backUpFiles(
  options: FilesBackupOptions,
  how: InMemoryOptions = {},
): Promise<FilesBackedUp> {
  const memory = how.after?.memory ?? how.memory ?? new MemoryBackup();
  if (how.after !== undefined)
    memory.becomePrevious(how.after.metadata, how.startedAtMs ?? Date.now() + anHourMs);
  const readBefore = memory.bytesRead;
  const context = memory.backupContext({
    jobs: how.jobs ?? 2,
    ...(how.signal ? { signal: how.signal } : {}),
  });
  const outcome: BackupOutcome = await backupFiles(options, how.change?.(context) ?? context);
  return {
    memory,
    entries: [...memory.entries],
    metadata: filesMetadataSchema.parse(outcome.metadata),
    warnings: outcome.warnings,
    incomplete: outcome.incomplete,
    bytesRead: memory.bytesRead - readBefore,
  };
}

/** The paths of entries, in their order; those of directories end in a slash. */
export function pathsOf(backedUp: FilesBackedUp): string[] {
  return backedUp.entries.map(({ path, kind }) => (kind === 'files.directory' ? `${path}/` : path));
}
