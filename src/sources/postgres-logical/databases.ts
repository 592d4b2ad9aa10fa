import { failure, isFailure } from '../../kernel/errors/failure.ts';
import { withDatabase, type ConnectionParameters } from '../../postgres/connection/connection.ts';
import { listDatabases } from './inventory.ts';
import { openSession, type Session } from '../../postgres/connection/session.ts';

/** The database of the connection when undefined; `all`: every one that is no template and takes connections. */
export type WantedDatabases = 'all' | readonly string[] | undefined;

/**
 * A session for what concerns the whole server. Where databases are named on their own, the one of the connection need
 * not exist: the first of them that does serves as well, and template1 is there always.
 */
export async function openServer(
  connection: ConnectionParameters,
  wanted: WantedDatabases,
  signal: AbortSignal,
): Promise<Session> {
  const others = wanted === undefined ? [] : [...(wanted === 'all' ? [] : wanted), 'template1'];
  let last: unknown;
  for (const name of [connection.database, ...others]) {
    try {
      return await openSession(withDatabase(connection, name), signal);
    } catch (error) {
      if (!isFailure(error, 'postgres_database_missing')) throw error;
      last = error;
    }
  }
  throw last;
}

/** The names of the databases wanted. Throws `postgres_nothing_to_back_up`, `postgres_database_missing`. */
export async function chooseDatabases(
  connection: ConnectionParameters,
  wanted: WantedDatabases,
  session: Session,
): Promise<string[]> {
  if (wanted === undefined) return [connection.database];
  const existing = await listDatabases(session);
  const server = session.setting.server;
  if (wanted === 'all') {
    if (existing.length === 0)
      throw failure('postgres_nothing_to_back_up', { server, reason: 'it has none' });
    return existing;
  }
  if (wanted.length === 0)
    throw failure('postgres_nothing_to_back_up', { server, reason: 'the list of databases is empty' });
  for (const database of wanted) {
    if (!existing.includes(database)) throw failure('postgres_database_missing', { database, server });
  }
  return [...new Set(wanted)];
}
