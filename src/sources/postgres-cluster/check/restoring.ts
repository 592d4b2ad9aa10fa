import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { Session } from '../../../postgres/connection/session.ts';

/** Whether the server is on its way through its own restore, and opens when it has come to its target; else it is a standby. */
export async function isRestoring(
  session: Session,
  dataDirectory: string | undefined,
  signal: AbortSignal,
): Promise<boolean> {
  if (!session.inRecovery) return false;
  try {
    const [row] = await session.query<{ restoring: boolean }>(
      `SELECT (pg_catalog.pg_stat_file('recovery.signal', true)).modification IS NOT NULL
              AND (pg_catalog.pg_stat_file('standby.signal', true)).modification IS NULL AS restoring`,
    );
    return row?.restoring === true;
  } catch {
    signal.throwIfAborted();
  }
  if (dataDirectory === undefined) return false;
  // Only its superuser, or one who may read files there, may ask the server; its files may be readable all the same.
  return (
    (await isThere(dataDirectory, 'recovery.signal')) && !(await isThere(dataDirectory, 'standby.signal'))
  );
}

async function isThere(directory: string, name: string): Promise<boolean> {
  return await stat(join(directory, name)).then(
    () => true,
    () => false,
  );
}
