import { isFailure, reasonOf } from '../../kernel/errors/failure.ts';
import {
  forgottenRecords,
  isCopiedForgotten,
  putCopiedForgotten,
  readForgotten,
  takeOutOfRecord,
  type ForgottenBackup,
} from '../../repository/history/forgotten.ts';
import { forgottenPrefix } from '../../repository/history/names.ts';
import type { BackupName } from '../../repository/model.ts';
import type { Repository } from '../../repository/repository.ts';
import { exists } from '../../storage/exists.ts';
import type { OperationContext } from '../contract.ts';

type Context = Pick<OperationContext, 'signal' | 'log'>;

/** What the records of a copy say. */
export interface RecordsThere {
  /** Backups that were forgotten in the copy itself. */
  readonly own: ReadonlySet<string>;
  /** Of records that came from elsewhere, by name, the backups that they name. */
  readonly copied: ReadonlyMap<string, readonly string[]>;
  /** What is explained there already, by {@link keyOf}. */
  readonly explained: ReadonlySet<string>;
}

/** Reads them. One of the very name of a record here came from here, too. */
export async function readRecordsThere(
  from: Repository,
  copy: Repository,
  signal: AbortSignal,
): Promise<RecordsThere> {
  const here = new Set<string>();
  for await (const { name } of from.storage.list(forgottenPrefix, { signal })) here.add(name);
  const own = new Set<string>();
  const copied = new Map<string, readonly string[]>();
  const explained = new Set<string>();
  for await (const read of forgottenRecords(copy, signal)) {
    if (!('record' in read)) continue;
    const ids = read.record.backups.map(({ id }) => id);
    for (const backup of read.record.backups) explained.add(keyOf(backup));
    if (here.has(read.name) || isCopiedForgotten(copy, read)) copied.set(read.name, ids);
    else for (const id of ids) own.add(id);
  }
  return { own, copied, explained };
}

export interface RecordsHere {
  /** All backups that a record here names. */
  readonly named: ReadonlySet<string>;
}

export interface CopyRecordsOptions extends Context {
  /** Backups that are in the copy now, by id. */
  readonly there: ReadonlySet<string>;
  /** Told of every record that was stored there. */
  readonly copied: (name: string) => Promise<void>;
}

/**
 * Tells a copy why there are gaps in its history: of what the records here name, what neither place has and nothing there
 * explains yet. A backup that the copy has is never explained away: if it vanished there, nobody would notice.
 */
export async function copyRecords(
  from: Repository,
  copy: Repository,
  records: RecordsThere,
  options: CopyRecordsOptions,
): Promise<RecordsHere> {
  const { signal, log, there, copied } = options;
  const here = new Set<string>((await from.names({ signal })).map(({ id }) => id));
  const named = new Set<string>();
  for await (const read of forgottenRecords(from, signal)) {
    if ('damage' in read) {
      // Nothing that the copy lacks is lost with it. A verify here names it.
      log.warn('a record cannot be read, and is not told', {
        object: read.name,
        reason: read.damage.message,
      });
      continue;
    }
    const backups: ForgottenBackup[] = [];
    for (const backup of read.record.backups) {
      named.add(backup.id);
      if (here.has(backup.id) || there.has(backup.id) || records.explained.has(keyOf(backup))) continue;
      // A listing may lag behind.
      if (!(await exists(copy.storage, backup.object_name, signal))) backups.push(backup);
    }
    if (backups.length > 0) await copied(await putCopiedForgotten(copy, { ...read.record, backups }, signal));
  }
  await takeOut(copy, records, options);
  return { named };
}

/** Backups that the copy has (again) are taken out of what records from elsewhere say there. */
async function takeOut(
  copy: Repository,
  { copied }: RecordsThere,
  { signal, log, there }: CopyRecordsOptions,
): Promise<void> {
  for (const [name, ids] of copied) {
    if (!ids.some((id) => there.has(id))) continue;
    const read = await readForgotten(copy, name, signal);
    if (read === undefined || !('record' in read)) continue;
    try {
      await takeOutOfRecord(copy, read, there, true, signal);
    } catch (error) {
      signal.throwIfAborted();
      // Whoever may add only cannot: the next who may does it.
      if (!isFailure(error, 'storage_denied') && !isFailure(error, 'storage_locked')) throw error;
      log.warn('a record still says that backups are forgotten which are there', {
        object: name,
        reason: reasonOf(error),
      });
    }
  }
}

/** Backups that only the copy has, and that no record here explains, the oldest first. */
export async function onlyThere(
  from: Repository,
  backups: readonly BackupName[],
  { named }: RecordsHere,
  signal: AbortSignal,
): Promise<string[]> {
  const here = new Set<string>((await from.names({ signal })).map(({ id }) => id));
  const only: string[] = [];
  for (const { id, objectName } of backups)
    if (!here.has(id) && !named.has(id) && !(await exists(from.storage, objectName, signal))) only.push(id);
  return only;
}

function keyOf({ id, sha256, source }: ForgottenBackup): string {
  return source === null ? id : `${id} ${sha256}`;
}
