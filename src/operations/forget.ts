import type { Clock } from '../kernel/clock.ts';
import { failure, isFailure, type HoldfastError } from '../kernel/errors/failure.ts';
import { putForgotten, takeOutOfForgotten, type ForgottenBackup } from '../repository/history/forgotten.ts';
import { trashObject } from '../repository/history/names.ts';
import { pinnedIds } from '../repository/history/pins.ts';
import { copyToTrash } from '../repository/history/trash.ts';
import type { BackupName } from '../repository/model.ts';
import type { Repository } from '../repository/repository.ts';
import type { OperationContext } from './contract.ts';

/** A backup that is to be forgotten. */
export interface ToForget {
  readonly name: BackupName;
  /** Null when its manifest cannot be read. */
  readonly source: string | null;
  /** Why, for people: it is in the record. */
  readonly why: readonly string[];
}

export interface ForgetOptions extends Pick<OperationContext, 'signal' | 'log' | 'progress'> {
  readonly clock: Pick<Clock, 'now'>;
  readonly host: string;
  readonly user: string;
  /** What asks for it, for people: `clean: last 10, 7 daily`. */
  readonly reason: string;
  /** Ids of backups that the plan counts on: if one of them is gone, nothing is forgotten. */
  readonly mustStay: readonly string[];
}

export interface Forgotten {
  /** Name of the record; null when all of them had gone already. */
  readonly record: string | null;
  readonly backups: readonly ForgottenBackup[];
  /** Those that the storage keeps locked, with its words: they are there as before, and count as not forgotten. */
  readonly locked: readonly { readonly id: string; readonly error: HoldfastError }[];
}

/** Manifests that are removed at once. */
const deletions = 8;

/**
 * Forgets backups: copies each manifest into the trash, stores a record of all of them, and only then removes them. So
 * at any moment each of them is there, or can be brought back by {@link undoForget}; what they hold stays until a prune.
 * `forget_pinned` and `forget_changed` when what the plan was made of has changed meanwhile; nothing is forgotten then.
 */
export async function forgetBackups(
  repository: Repository,
  backups: readonly ToForget[],
  options: ForgetOptions,
): Promise<Forgotten> {
  repository.assertMay('read', 'write', 'delete');
  const { signal, progress, clock, host, user, reason, log } = options;
  progress.phase('keeping what is forgotten in the trash');
  const forgotten: ForgottenBackup[] = [];
  const going: BackupName[] = [];
  for (const backup of backups) {
    const entry = await keepInTrash(repository, backup, signal);
    if (entry === undefined) continue;
    forgotten.push(entry);
    going.push(backup.name);
  }
  await assertUnchanged(repository, backups, options);
  if (forgotten.length === 0) return { record: null, backups: [], locked: [] };
  const forgottenAt = new Date(clock.now()).toISOString();
  const record = await putForgotten(
    repository,
    { schema: 1, forgotten_at: forgottenAt, host, user, reason, backups: forgotten },
    signal,
  );
  progress.phase('forgetting');
  // Not abortable any more: what is in the record must not stay half done. A crash leaves some of them there.
  const locked: { id: string; error: HoldfastError }[] = [];
  for (let at = 0; at < going.length; at += deletions)
    await Promise.all(
      going.slice(at, at + deletions).map(async (name) => {
        const error = await removeManifest(repository, name);
        if (error !== undefined) locked.push({ id: name.id, error });
      }),
    );
  // One after another: each changes the record.
  for (const { id } of locked) await takeOutOfForgotten(repository, id);
  const gone = forgotten.filter(({ id }) => !locked.some((one) => one.id === id));
  log.info('backups forgotten', { record, backups: gone.map(({ id }) => id) });
  return { record, backups: gone, locked };
}

/** Undefined when somebody else has forgotten it meanwhile. */
async function keepInTrash(
  repository: Repository,
  { name, source, why }: ToForget,
  signal: AbortSignal,
): Promise<ForgottenBackup | undefined> {
  try {
    return {
      id: name.id,
      sequence: name.sequence,
      object_name: name.objectName,
      sha256: await copyToTrash(repository, name, signal),
      source,
      started_at: new Date(name.startedAtMs).toISOString(),
      why: [...why],
    };
  } catch (error) {
    if (isFailure(error, 'backup_unknown')) return undefined;
    throw error;
  }
}

/** Somebody else may have pinned one of them meanwhile, or forgotten what was to stay. Copies in the trash do no harm. */
async function assertUnchanged(
  repository: Repository,
  backups: readonly ToForget[],
  { signal, mustStay }: ForgetOptions,
): Promise<void> {
  const pinned = await pinnedIds(repository, signal);
  const nowPinned = backups.find(({ name }) => pinned.has(name.id));
  if (nowPinned !== undefined) {
    const { name, source } = nowPinned;
    throw failure('forget_pinned', { id: name.id.slice(0, 8), source: source ?? 'an unknown source' });
  }
  const names = new Set<string>((await repository.names({ signal })).map(({ id }) => id));
  const gone = mustStay.find((id) => !names.has(id));
  if (gone !== undefined) throw failure('forget_changed', { id: gone.slice(0, 8) });
}

/**
 * Whoever brings it back at this very moment empties the trash: then the copy is put there once more. Resolves with the
 * error of a storage that keeps the manifest locked; then the trash is as it was.
 */
async function removeManifest({ storage }: Repository, name: BackupName): Promise<HoldfastError | undefined> {
  const bytes = await unlessMissing(storage.get(name.objectName));
  try {
    await storage.delete(name.objectName);
  } catch (error) {
    if (!isFailure(error, 'storage_locked')) throw error;
    await storage.delete(trashObject(name));
    return error;
  }
  const kept = await unlessMissing(storage.stat(trashObject(name)));
  if (kept === undefined && bytes !== undefined) await storage.put(trashObject(name), bytes);
  return undefined;
}

async function unlessMissing<T>(answer: Promise<T>): Promise<T | undefined> {
  try {
    return await answer;
  } catch (error) {
    if (isFailure(error, 'object_missing')) return undefined;
    throw error;
  }
}
