import type { Session } from '../../../postgres/connection/session.ts';

/** A replication slot that outlives its connection. */
export interface SlotRow {
  readonly name: string;
  readonly isPhysical: boolean;
  readonly isActive: boolean;
  /** `reserved`, `extended`, `unreserved` or `lost`; null while it keeps nothing yet. */
  readonly walStatus: string | null;
  /** WAL that the server keeps for it; null when it keeps none. */
  readonly keptBytes: number | null;
  /** The server itself keeps it in step with one of its primary: inactive by nature. */
  readonly isSynced: boolean;
}

interface Row {
  readonly [column: string]: unknown;
  readonly name: string;
  readonly type: string;
  readonly active: boolean;
  readonly status: string | null;
  readonly kept: string | null;
  readonly synced: boolean;
}

export async function readSlots(session: Session): Promise<readonly SlotRow[]> {
  const here = session.inRecovery
    ? 'coalesce(pg_catalog.pg_last_wal_receive_lsn(), pg_catalog.pg_last_wal_replay_lsn())'
    : 'pg_catalog.pg_current_wal_lsn()';
  const rows = await session.query<Row>(
    `SELECT slot_name AS name, slot_type AS type, active, wal_status AS status,
            pg_catalog.pg_wal_lsn_diff(${here}, restart_lsn)::text AS kept,
            coalesce((pg_catalog.to_jsonb(s) ->> 'synced')::boolean, false) AS synced
       FROM pg_catalog.pg_replication_slots AS s WHERE NOT temporary ORDER BY slot_name`,
  );
  return rows.map(({ name, type, active, status, kept, synced }) => ({
    name,
    isPhysical: type === 'physical',
    isActive: active,
    walStatus: status,
    keptBytes: kept === null ? null : Math.max(0, Number(kept)),
    isSynced: synced,
  }));
}

/** Whether `holdfast wal stream` is at work. */
export function isStreaming(slots: readonly SlotRow[], slot: string): boolean {
  return slots.some(({ name, isPhysical, isActive }) => name === slot && isPhysical && isActive);
}
