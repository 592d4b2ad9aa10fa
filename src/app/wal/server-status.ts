import type { ConnectionParameters } from '../../postgres/connection/connection.ts';
import { openSession, type Session } from '../../postgres/connection/session.ts';

/** What the server says about its WAL, plain for JSON. Positions as `16/B374D848`. */
export interface ServerWal {
  /** The slot of `holdfast wal stream`; null when there is none. */
  readonly slot: {
    readonly name: string;
    /** A stream uses it now. */
    readonly active: boolean;
    /** `reserved`, `extended`, `unreserved` or `lost`; null when it never kept any. */
    readonly wal_status: string | null;
    readonly restart_lsn: string | null;
    /** WAL that the server keeps for it. */
    readonly kept_bytes: number | null;
  } | null;
  /** Null when `archive_mode` is off. */
  readonly archiver: {
    readonly last_archived: string | null;
    readonly last_archived_at: string | null;
    readonly last_failed: string | null;
    readonly last_failed_at: string | null;
    /** The last attempt failed. */
    readonly failing: boolean;
    /** Files that wait; null when the role may not see that. */
    readonly waiting_files: number | null;
    readonly waiting_bytes: number | null;
  } | null;
  readonly system_identifier: string;
  readonly timeline: number;
  readonly in_recovery: boolean;
  /** Up to there its WAL is durable. */
  readonly lsn: string;
}

interface PlaceRow {
  readonly [column: string]: unknown;
  readonly system_identifier: string;
  readonly timeline: number;
  readonly lsn: string;
  readonly recovery: boolean;
  readonly archives: boolean;
  readonly segment_bytes: string;
}

const place = `
  SELECT s.system_identifier::text, c.timeline_id AS timeline, pg_catalog.pg_is_in_recovery() AS recovery,
         coalesce(CASE WHEN pg_catalog.pg_is_in_recovery() THEN pg_catalog.pg_last_wal_replay_lsn()
                       ELSE pg_catalog.pg_current_wal_flush_lsn() END, '0/0')::text AS lsn,
         current_setting('archive_mode') <> 'off' AS archives,
         pg_catalog.pg_size_bytes(current_setting('wal_segment_size'))::text AS segment_bytes
    FROM pg_catalog.pg_control_system() s, pg_catalog.pg_control_checkpoint() c`;

/** Asks over SQL. Rejects with the errors of connections. */
export async function askServerWal(
  connection: ConnectionParameters,
  slot: string,
  signal: AbortSignal,
): Promise<ServerWal> {
  await using session = await openSession(connection, signal);
  const [row] = await session.query<PlaceRow>(place);
  if (row === undefined) throw new Error('the server does not say where it is');
  return {
    system_identifier: row.system_identifier,
    timeline: await timelineOf(session, row),
    in_recovery: row.recovery,
    lsn: row.lsn,
    slot: await slotState(session, slot, row.lsn),
    archiver: row.archives ? await archiverState(session, Number(row.segment_bytes), signal) : null,
  };
}

/** The last checkpoint may be from before a promotion. */
async function timelineOf(session: Session, row: PlaceRow): Promise<number> {
  if (row.recovery) return row.timeline;
  const [found] = await session.query<{ name: string }>(
    'SELECT pg_catalog.pg_walfile_name(pg_catalog.pg_current_wal_lsn()) AS name',
  );
  return Number.parseInt(found?.name.slice(0, 8) ?? '', 16) || row.timeline;
}

async function slotState(session: Session, name: string, lsn: string): Promise<ServerWal['slot']> {
  const [row] = await session.query<{
    active: boolean;
    wal_status: string | null;
    restart_lsn: string | null;
    kept: string | null;
  }>(
    `SELECT active, wal_status, restart_lsn::text, greatest(0, $2::pg_lsn - restart_lsn)::text AS kept
       FROM pg_catalog.pg_replication_slots WHERE slot_name = $1`,
    [name, lsn],
  );
  if (row === undefined) return null;
  const { active, wal_status, restart_lsn, kept } = row;
  return { name, active, wal_status, restart_lsn, kept_bytes: kept === null ? null : Number(kept) };
}

async function archiverState(
  session: Session,
  segmentBytes: number,
  signal: AbortSignal,
): Promise<ServerWal['archiver']> {
  const [row] = await session.query<{
    archived: string | null;
    archived_at: Date | null;
    failed: string | null;
    failed_at: Date | null;
    failing: boolean | null;
  }>(
    `SELECT last_archived_wal AS archived, last_archived_time AS archived_at,
            last_failed_wal AS failed, last_failed_time AS failed_at,
            last_failed_time > coalesce(last_archived_time, '-infinity') AS failing
       FROM pg_catalog.pg_stat_archiver`,
  );
  const waiting = await waitingFiles(session, signal);
  return {
    last_archived: row?.archived ?? null,
    last_archived_at: row?.archived_at?.toISOString() ?? null,
    last_failed: row?.failed ?? null,
    last_failed_at: row?.failed_at?.toISOString() ?? null,
    failing: row?.failing === true,
    waiting_files: waiting,
    waiting_bytes: waiting === null ? null : waiting * segmentBytes,
  };
}

async function waitingFiles(session: Session, signal: AbortSignal): Promise<number | null> {
  try {
    const [row] = await session.query<{ count: string }>(
      "SELECT count(*)::text AS count FROM pg_catalog.pg_ls_archive_statusdir() WHERE name LIKE '%.ready'",
    );
    return Number(row?.count);
  } catch {
    signal.throwIfAborted();
    return null; // the role may not
  }
}
