import { plural } from '../kernel/plural.ts';
import { postgresMetadataSchema } from '../sources/postgres-logical/metadata.ts';
import { bytes } from './format.ts';

/** What a backup of PostgreSQL holds, for people; undefined when it is one of something else. */
export function postgresFacts(metadata: unknown): [string, string][] | undefined {
  const parsed = postgresMetadataSchema.safeParse(metadata);
  if (!parsed.success) return undefined;
  const {
    server_version: server,
    pg_dump_version: tool,
    in_recovery: standby,
    databases,
    globals,
  } = parsed.data;
  return [
    ['server', `PostgreSQL ${server}${standby ? ', a standby' : ''}, read by pg_dump ${tool}`],
    ...databases.map(({ name, tables, rows, bytes: size, size_bytes: onServer }): [string, string] => [
      'database',
      `${name}: ${plural(tables, 'table')}, ${plural(rows, 'row')}, ${bytes(size)} (${bytes(onServer)} on the server)`,
    ]),
    ['roles', rolesText(globals)],
  ];
}

function rolesText({
  path,
  passwords,
}: {
  readonly path: string | null;
  readonly passwords: boolean;
}): string {
  if (path === null) return 'not in it';
  return passwords ? 'in it, with the hashes of their passwords' : 'in it, without their passwords';
}
