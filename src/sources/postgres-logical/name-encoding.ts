import { isUtf8 } from 'node:buffer';
import { failure } from '../../kernel/errors/failure.ts';
import type { Session } from '../../postgres/connection/session.ts';

/**
 * Refuses a database of encoding SQL_ASCII that has a table, column or role with a name that is not UTF-8. Such a name
 * cannot be said to the server by any other client encoding, so its rows could not be compared, nor its role be found,
 * after a restore; and two such names may look the same. Throws `postgres_name_encoding`.
 */
export async function checkNameEncoding(session: Session, encoding: string): Promise<void> {
  if (encoding !== 'SQL_ASCII') return;
  const rows = await session.query<{ what: string; name: Buffer }>(
    `WITH tables AS (
       SELECT c.oid, n.nspname || '.' || c.relname AS name
         FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
        WHERE c.relkind IN ('r','p','f','v','m','S') AND n.nspname !~ '^pg_'),
     names AS (
       SELECT 'table' AS what, name FROM tables
        UNION ALL
       SELECT 'column', t.name || '.' || a.attname FROM tables t
         JOIN pg_catalog.pg_attribute a ON a.attrelid = t.oid WHERE a.attnum > 0 AND NOT a.attisdropped
        UNION ALL
       SELECT 'schema', nspname FROM pg_catalog.pg_namespace WHERE nspname !~ '^pg_'
        UNION ALL
       SELECT 'role', rolname FROM pg_catalog.pg_roles)
     SELECT what, pg_catalog.convert_to(name, 'SQL_ASCII') AS name FROM names`,
  );
  const found = rows.find(({ name }) => !isUtf8(name));
  if (found === undefined) return;
  const { database } = session.parameters;
  throw failure('postgres_name_encoding', {
    database,
    object: found.name.toString('latin1'),
    kind: found.what,
  });
}
