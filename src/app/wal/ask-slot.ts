import { isFailure } from '../../kernel/errors/failure.ts';
import type { ConnectionParameters } from '../../postgres/connection/connection.ts';
import { openSession } from '../../postgres/connection/session.ts';
import { parseLsn } from '../../postgres/lsn.ts';
import type { SlotState } from '../../postgres/replication/slots.ts';

/** State of a slot over SQL: null when there is none, undefined when the role may only replicate. */
export async function askSlot(
  connection: ConnectionParameters,
  slot: string,
  signal: AbortSignal,
): Promise<SlotState | null | undefined> {
  try {
    await using session = await openSession(connection, signal);
    const [row] = await session.query<{ restart_lsn: string | null }>(
      'SELECT restart_lsn::text FROM pg_catalog.pg_replication_slots WHERE slot_name = $1',
      [slot],
    );
    if (row === undefined) return null;
    const restartLsn = row.restart_lsn === null ? null : (parseLsn(row.restart_lsn) ?? null);
    return { restartLsn, restartTimeline: null };
  } catch (error) {
    signal.throwIfAborted();
    if (isFailure(error)) return undefined;
    throw error;
  }
}
