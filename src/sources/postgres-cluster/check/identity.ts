import { failure } from '../../../kernel/errors/failure.ts';
import type { Session } from '../../../postgres/connection/session.ts';

/** What tells one running server from another, as its files say it, too. */
export interface ServerIdentity {
  /** Decimal digits. */
  readonly systemIdentifier: string;
  readonly port: number;
  /** Seconds since 1970. */
  readonly startedAt: number;
}

export async function readIdentity(session: Session): Promise<ServerIdentity> {
  const [row] = await session.query<{ identifier: string; port: string; started: string }>(
    `SELECT system_identifier::text AS identifier, current_setting('port') AS port,
            extract(epoch FROM pg_catalog.pg_postmaster_start_time())::text AS started
       FROM pg_catalog.pg_control_system()`,
  );
  if (row === undefined) throw failure('internal', { reason: 'a query without a row' });
  return {
    // A signed number in SQL, an unsigned one everywhere else.
    systemIdentifier: BigInt.asUintN(64, BigInt(row.identifier)).toString(),
    port: Number(row.port),
    startedAt: Number(row.started),
  };
}
