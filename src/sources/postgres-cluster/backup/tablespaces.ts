import { join } from 'node:path';
import { failure } from '../../../kernel/errors/failure.ts';
import type { Session } from '../../../postgres/connection/session.ts';
import type { Tablespace } from '../metadata.ts';
import { readTablespaces, type TablespaceFact } from './facts.ts';
import type { Survey } from './survey.ts';

/**
 * The tablespaces whose files were found. One that the server has must be there for us, too: a file system that is not
 * mounted here would be missed without a word. `cluster_directory_unreadable`.
 */
export async function foundTablespaces(
  session: Session,
  { tablespaceBytes, tablespacesSeen }: Survey,
  atStart: readonly TablespaceFact[],
  dataDirectory: string,
): Promise<Tablespace[]> {
  const now = await readTablespaces(session);
  return now.flatMap(({ oid, path }) => {
    if (tablespacesSeen.has(oid)) return [{ oid, path, size: tablespaceBytes.get(oid) ?? 0 }];
    // Made meanwhile: recovery makes it again.
    if (!atStart.some((one) => one.oid === oid)) return [];
    throw failure('cluster_directory_unreadable', {
      path: join(dataDirectory, 'pg_tblspc', String(oid)),
      reason: `nothing of it is there (${path})`,
    });
  });
}
