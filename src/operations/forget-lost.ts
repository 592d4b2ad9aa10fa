import type { Clock } from '../kernel/clock.ts';
import { isFailure } from '../kernel/errors/failure.ts';
import type { Logger } from '../kernel/log.ts';
import { listMarks } from '../repository/gc/marks.ts';
import { readSeen } from '../repository/gc/seen.ts';
import { forgottenRecords, putForgotten } from '../repository/history/forgotten.ts';
import { snapshotsPrefix } from '../repository/layout.ts';
import type { Repository } from '../repository/repository.ts';
import type { Head } from './verify-options.ts';
import { recallReports } from './verify-memory.ts';

/** A backup whose manifest is gone, and that was there: something that nobody can forge tells so. */
export interface LostBackup {
  readonly id: string;
  readonly sequence: number | null;
  /** Of its sealed manifest, where it is known. */
  readonly sha256: string | null;
  readonly startedAtMs: number | null;
  /** For people. */
  readonly toldBy: string;
}

/** Stands for a hash that nobody knows. A record without a source explains whatever was there. */
const unknownHash = '0'.repeat(64);

/** By its full id; `seen` are backups that this machine remembers. Undefined when nothing tells of it, or it was forgotten. */
export async function findLost(
  repository: Repository,
  id: string,
  seen: readonly Head[],
  log: Logger,
  signal: AbortSignal,
): Promise<LostBackup | undefined> {
  for await (const read of forgottenRecords(repository, signal))
    if ('record' in read && read.record.backups.some((backup) => backup.id === id)) return undefined;
  const unknown = { id, sequence: null, sha256: null, startedAtMs: null };
  const { remembered } = await recallReports(repository, log, signal);
  const head = remembered.heads.find((one) => one.id === id);
  if (head !== undefined) return { ...unknown, ...head, toldBy: 'an earlier verify' };
  for (const name of await repository.names({ signal })) {
    try {
      const { previous } = await repository.manifest(name, { signal });
      const link = previous.find((one) => one.id === id);
      if (link !== undefined)
        return { ...unknown, sha256: link.sha256, toldBy: `backup ${name.id.slice(0, 8)}` };
    } catch (error) {
      if (!isFailure(error, 'object_damaged') && !isFailure(error, 'backup_unknown')) throw error;
    }
  }
  const own = seen.find((one) => one.id === id);
  if (own !== undefined) return { ...unknown, ...own, toldBy: 'what this machine remembers' };
  for await (const { run } of listMarks(repository.storage, signal))
    if ((await readSeen(repository, run, signal))?.includes(id) === true)
      return { ...unknown, toldBy: 'an earlier prune' };
  return undefined;
}

/** Leaves the record that it was forgotten. */
export async function forgetLost(
  repository: Repository,
  { id, sequence, sha256, startedAtMs }: LostBackup,
  {
    clock,
    host,
    user,
    signal,
  }: {
    readonly clock: Pick<Clock, 'now'>;
    readonly host: string;
    readonly user: string;
    readonly signal: AbortSignal;
  },
): Promise<string> {
  repository.assertMay('read', 'write', 'delete');
  const now = new Date(clock.now()).toISOString();
  const started_at = startedAtMs === null ? now : new Date(startedAtMs).toISOString();
  const lost = {
    id,
    // Of one whose number nobody knows the first one is said, which no gap is looked for at.
    sequence: sequence ?? 1,
    object_name: `${snapshotsPrefix}${id}`,
    sha256: sha256 ?? unknownHash,
    source: null,
    started_at,
    why: ['its manifest was gone, and it was given up by its id'],
  };
  const record = { schema: 1 as const, forgotten_at: now, host, user, reason: 'forget of what was lost' };
  return await putForgotten(repository, { ...record, backups: [lost] }, signal);
}
