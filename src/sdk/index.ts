import type { HoldfastRepository } from './handle.ts';
import { requireNode } from './node-version.ts';
import type {
  BackupOptions,
  CallOptions,
  CleanOptions,
  InitOptions,
  ListOptions,
  RestoreOptions,
  VerifyOptions,
} from './options.ts';
import type {
  BackupResult,
  CleanResult,
  InitResult,
  ListResult,
  RestoreResult,
  VerifyResult,
} from './results.ts';

// What is loaded with this module is little, and runs on any Node: everything else is loaded by the first call.
requireNode(process.versions.node);

export { HoldfastError, isHoldfastError } from './errors.ts';
export { errorCodes, type ErrorName } from './error-codes.ts';
export type { ErrorKind } from '../kernel/errors/define.ts';
export type {
  BackupEvent,
  BytesEvent,
  LogEntry,
  NoticeEvent,
  PhaseEvent,
  PlanEvent,
  ProgressEvent,
  SourceErrorEvent,
} from './events.ts';
export type { HoldfastRepository } from './handle.ts';
export type {
  BackupOptions,
  CallOptions,
  CleanOptions,
  InitOptions,
  ListOptions,
  NamedSource,
  RestoreOptions,
  SignalOption,
  VerifyOptions,
  Within,
} from './options.ts';
export type {
  Backup,
  BackupDetails,
  BackupEntry,
  BackupResult,
  CleanResult,
  ErrorInfo,
  FilesRestorePlan,
  FilesRestored,
  Finding,
  InitResult,
  ListedBackup,
  ListResult,
  OperationRequests,
  PlaceRequests,
  PlannedBackup,
  PostgresRestorePlan,
  PostgresRestored,
  RepositoryRef,
  RestorePlan,
  RestoreResult,
  Restored,
  Recoverable,
  Result,
  RetentionRules,
  SourcePolicy,
  SqliteRestorePlan,
  SqliteRestored,
  VerifiedRecovery,
  VerifyProblem,
  VerifyResult,
  WalOfBackup,
} from './results.ts';
export type { FilesSource, PostgresSource, Settings, SourceSettings, SqliteSource } from './settings.ts';

/**
 * Creates the repository, or confirms that it is there and opens with the passphrase at hand. A new one comes with a
 * recovery kit: keep it away from this machine.
 */
export async function initRepository(options: InitOptions = {}): Promise<InitResult> {
  return await (await import('./calls.ts')).initRepository(options);
}

/**
 * Backs up one or several sources. Resolves once every backup in the result is durable. Rejects when none was made; where
 * only some failed, or a backup is incomplete, it resolves with `ok: false`, what was made, and what was not and why.
 */
export async function createBackup(options: BackupOptions = {}): Promise<BackupResult> {
  return await (await import('./calls.ts')).createBackup(options);
}

/**
 * Restores a backup. Whatever cannot go well is refused before the target is touched, and every byte that is needed is
 * checked first; out of a bucket, where nothing is at the target yet, as it comes. Rejects unless everything was restored; the target then is as it was.
 */
export async function restoreBackup(options: RestoreOptions): Promise<RestoreResult> {
  return await (await import('./calls.ts')).restoreBackup(options);
}

/**
 * The backups of a repository, oldest first. Backups that cannot be read are named in `unreadable`, with `ok: false`, and
 * hide no other.
 */
export async function listBackups(options: ListOptions = {}): Promise<ListResult> {
  return await (await import('./calls.ts')).listBackups(options);
}

/**
 * Checks the repository, or some backups of it. Resolves with `ok: false` and all `problems` when something is wrong;
 * rejects only when it could not be checked.
 */
export async function verifyBackup(options: VerifyOptions = {}): Promise<VerifyResult> {
  return await (await import('./calls.ts')).verifyBackup(options);
}

/**
 * Forgets what no rule of retention keeps: those given, else those of the configuration. The result has a plan with the
 * reasons for every backup. What is forgotten can be brought back (`holdfast forget --undo`) until a prune gives its space
 * back. Rejects with `retention_empty` (HF-6001) where no rule keeps anything; pinned backups, and the last good one of a
 * source, always stay.
 */
export async function cleanOldBackups(options: CleanOptions = {}): Promise<CleanResult> {
  return await (await import('./calls.ts')).cleanOldBackups(options);
}

/** Opens a repository for reading single things out of backups and for several calls with the same options. */
export async function openRepository(options: CallOptions = {}): Promise<HoldfastRepository> {
  return await (await import('./repository.ts')).openRepository(options);
}
