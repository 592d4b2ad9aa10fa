import { failure, isFailure } from '../../kernel/errors/failure.ts';
import type { SizedTable } from './inventory.ts';
import { quoteQualified } from '../../postgres/names.ts';
import type { Session } from '../../postgres/connection/session.ts';

/** A snapshot that several pg_dump share, and locks on the tables it is for. Ends with its transaction. */
export interface SharedSnapshot {
  readonly id: string;
  /** Ends the transaction; rejects when it had broken, for then the locks were gone while the dumps ran. */
  release(): Promise<void>;
}

/**
 * Locks `tables` against ALTER, TRUNCATE and the like, and only then takes the snapshot: a TRUNCATE that commits between
 * a snapshot and the moment pg_dump locks the table would make it look empty to that snapshot.
 * The locks are held until `release`, because a further pg_dump locks its tables later than the first.
 *
 * Undefined where the server cannot export one (some standbys and poolers).
 * Throws `postgres_lock_timeout`, `postgres_permission`, `postgres_schema_moved`.
 */
export async function shareSnapshot(
  session: Session,
  tables: readonly SizedTable[],
  lockWaitMs: number,
): Promise<SharedSnapshot | undefined> {
  await session.query('SET idle_in_transaction_session_timeout = 0');
  await session.query('SET statement_timeout = 0');
  await session.query(`SET lock_timeout = ${Math.max(1, Math.floor(lockWaitMs))}`);
  if (session.serverVersionNumber >= 170_000) await session.query('SET transaction_timeout = 0');
  await session.query('BEGIN TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY');
  try {
    for (const { schema, table } of tables) {
      await session.query(`LOCK TABLE ONLY ${quoteQualified(schema, table)} IN ACCESS SHARE MODE`);
    }
  } catch (error) {
    if (isFailure(error, 'postgres_query_failed') && /does not exist/.test(error.message)) {
      throw failure(
        'postgres_schema_moved',
        { database: session.parameters.database, reason: error.message },
        { cause: error },
      );
    }
    throw error;
  }
  let id: string | undefined;
  try {
    const [row] = await session.query<{ id: string }>('SELECT pg_catalog.pg_export_snapshot() AS id');
    id = row?.id;
  } catch (error) {
    if (!isFailure(error, 'postgres_query_failed')) throw error;
  }
  if (id === undefined) {
    await session.query('ROLLBACK');
    return undefined;
  }
  return { id, release: async () => void (await session.query('COMMIT')) };
}
