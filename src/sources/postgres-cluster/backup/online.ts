import { failure, reasonOf } from '../../../kernel/errors/failure.ts';
import type { Logger } from '../../../kernel/log.ts';
import type { Session } from '../../../postgres/connection/session.ts';
import type { Lsn } from '../../../postgres/lsn.ts';
import { isServerRefusal, lsnFrom, serverTime, type ServerFacts } from './facts.ts';

export interface OnlineStart {
  readonly startLsn: Lsn;
  readonly startedAt: string;
  /** Without one the server may remove WAL that the backup needs. */
  readonly hasSlot: boolean;
}

export interface OnlineEnd {
  readonly stopLsn: Lsn;
  readonly stoppedAt: string;
  readonly timeline: number;
  /** The files, exactly as the server gave them. */
  readonly backupLabel: string;
  readonly tablespaceMap: string;
}

/**
 * Tells the server that a backup begins. It lasts as long as the session: when that ends, the server ends the backup and
 * drops the slot by itself, and nothing is left of either.
 */
export async function startOnline(
  session: Session,
  facts: ServerFacts,
  { label, fast, log }: { readonly label: string; readonly fast: boolean; readonly log: Logger },
): Promise<OnlineStart> {
  // A checkpoint that takes its time takes minutes.
  await session.query('SET statement_timeout = 0');
  const startedAt = await serverTime(session);
  const hasSlot = await makeSlot(session, log);
  const call =
    facts.major >= 15 ? 'pg_backup_start($1, $2::boolean)' : 'pg_start_backup($1, $2::boolean, false)';
  const [row] = await session.query<{ lsn: string }>(`SELECT ${call}::text AS lsn`, [label, fast]);
  return { startLsn: lsnFrom(row?.lsn), startedAt, hasSlot };
}

/** Keeps the WAL from now on until the session ends. Where there is none to be had the backup tries without. */
async function makeSlot(session: Session, log: Logger): Promise<boolean> {
  try {
    await session.query(
      "SELECT pg_create_physical_replication_slot('holdfast_backup_' || pg_backend_pid(), true, true)",
    );
    return true;
  } catch (error) {
    if (!isServerRefusal(error)) throw error;
    log.debug('no temporary replication slot; WAL is hoped to stay', { reason: reasonOf(error) });
    return false;
  }
}

/** Ends the backup. `cluster_promoted` when the server changed its timeline meanwhile. */
export async function stopOnline(session: Session, facts: ServerFacts): Promise<OnlineEnd> {
  const call = facts.major >= 15 ? 'pg_backup_stop(false)' : 'pg_stop_backup(false, false)';
  const rows = await stop(session, call);
  const { lsn, labelfile = '', spcmapfile } = rows[0] ?? {};
  const timeline = Number(/^START TIMELINE: (\d+)$/m.exec(labelfile)?.[1] ?? Number.NaN);
  if (!Number.isSafeInteger(timeline)) {
    throw failure('internal', { reason: 'the backup_label of the server names no timeline' });
  }
  return {
    stopLsn: lsnFrom(lsn),
    stoppedAt: await serverTime(session),
    timeline,
    backupLabel: labelfile,
    tablespaceMap: spcmapfile ?? '',
  };
}

interface StopRow {
  readonly [column: string]: string | undefined;
  readonly lsn: string;
  readonly labelfile: string;
  readonly spcmapfile: string;
}

async function stop(session: Session, call: string): Promise<readonly StopRow[]> {
  try {
    return await session.query<StopRow>(`SELECT lsn::text AS lsn, labelfile, spcmapfile FROM ${call}`);
  } catch (error) {
    if (!/promoted during online backup/.test(reasonOf(error))) throw error;
    throw failure('cluster_promoted', { server: session.setting.server }, { cause: error });
  }
}
