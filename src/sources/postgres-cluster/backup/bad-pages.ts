import { failure, reasonOf } from '../../../kernel/errors/failure.ts';
import { plural } from '../../../kernel/plural.ts';
import { parseRelationPath, type RelationFile } from '../../../postgres/data-directory.ts';
import { openSession, pinned, type Session } from '../../../postgres/connection/session.ts';
import type { BackupContext } from '../../port.ts';
import type { BadPage } from '../metadata.ts';
import type { BadFile } from './emitter.ts';
import type { DatabaseFact } from './facts.ts';

/** So many bad pages are listed in the backup. */
const mostListed = 100;

/** Names the relations of bad pages, as far as the server tells; and a warning for each file. */
export async function nameBadPages(
  files: readonly BadFile[],
  databases: readonly DatabaseFact[],
  session: Session | undefined,
  context: BackupContext,
): Promise<{ readonly pages: readonly BadPage[]; readonly warnings: readonly string[] }> {
  const pages: BadPage[] = [];
  const warnings: string[] = [];
  for (const { path, count, blocks } of files) {
    const relation = await relationName(path, databases, session, context);
    for (const { block, reason } of blocks)
      if (pages.length < mostListed) pages.push({ path, block, relation, reason });
    const [first] = blocks;
    const { code, message } = failure('cluster_bad_pages', {
      count: plural(count, 'page'),
      path,
      block: first?.block ?? 0,
      relation: relation === null ? '' : ` (${relation})`,
      reason: first?.reason ?? '',
    });
    warnings.push(`${code}: ${message}`);
  }
  return { pages, warnings };
}

async function relationName(
  path: string,
  databases: readonly DatabaseFact[],
  session: Session | undefined,
  { signal, log }: BackupContext,
): Promise<string | null> {
  if (session === undefined) return null;
  const file = parseRelationPath(path);
  const database = databases.find(({ oid }) => oid === file?.database);
  if (file === undefined || (file.database !== 0 && database === undefined)) return null;
  try {
    if (database === undefined) return await nameOf(file, session.parameters.database, session);
    await using there = await openSession({ ...pinned(session), database: database.name }, signal);
    return await nameOf(file, database.name, there);
  } catch (error) {
    signal.throwIfAborted();
    log.debug('the relation of a bad page has no name', { path, reason: reasonOf(error) });
    return null;
  }
}

async function nameOf(file: RelationFile, database: string, session: Session): Promise<string | null> {
  const [row] = await session.query<{ schema: string; name: string }>(
    `SELECT n.nspname AS schema, c.relname AS name
       FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
      WHERE c.oid = pg_filenode_relation($1::oid, $2::oid)`,
    [file.tablespace, file.filenode],
  );
  return row === undefined ? null : `${database}.${row.schema}.${row.name}`;
}
