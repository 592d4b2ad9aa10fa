import type { TocEntry } from './archive/toc.ts';
import { quoteLiteral, quoteQualified } from '../../postgres/names.ts';
import type { Session } from '../../postgres/connection/session.ts';
import { splitStatements } from './sql-statements.ts';

/**
 * The COPY that writes what pg_dump dumped of a table: its own COPY statement the other way round, with the same
 * columns. `condition` is that of an extension for its configuration table: `WHERE …`, or empty.
 */
export function copyOut({ copyStatement, schema, tag }: TocEntry, encoding: string, condition = ''): string {
  const end = copyStatement.lastIndexOf(' FROM stdin');
  const what = end === -1 ? `COPY ${quoteQualified(schema, tag)}` : copyStatement.slice(0, end);
  const options = `TO STDOUT (ENCODING ${quoteLiteral(encoding)})`;
  if (condition === '') return `${what} ${options}`;
  const [statement] = splitStatements(what);
  const open = statement?.tokens.find(({ value }) => value === '(');
  const columns =
    open === undefined || statement === undefined
      ? '*'
      : statement.text.slice(open.end, statement.text.lastIndexOf(')'));
  return `COPY (SELECT ${columns} FROM ${quoteQualified(schema, tag)} ${condition}) ${options}`;
}

/** Conditions of extensions' configuration tables, by {@link tableKey}. Of the others pg_dump dumps every row. */
export async function configurationConditions(session: Session): Promise<ReadonlyMap<string, string>> {
  const rows = await session.query<{ schema: string; table: string; condition: string }>(
    `SELECT n.nspname AS schema, c.relname AS table, coalesce(x.condition, '') AS condition
       FROM pg_catalog.pg_extension e
      CROSS JOIN LATERAL ROWS FROM (pg_catalog.unnest(e.extconfig), pg_catalog.unnest(e.extcondition)) AS x(relation, condition)
       JOIN pg_catalog.pg_class c ON c.oid = x.relation
       JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace`,
  );
  return new Map(rows.map(({ schema, table, condition }) => [tableKey(schema, table), condition]));
}

export function tableKey(schema: string, table: string): string {
  return JSON.stringify([schema, table]);
}
