import { failure } from '../../kernel/errors/failure.ts';
import type { ExportKind } from './export-kind.ts';

const kinds: Readonly<Record<string, () => Promise<ExportKind>>> = {
  postgres: async () => (await import('./export-postgres.ts')).exportPostgres,
  'postgres-sql': async () => (await import('./postgres-sql.ts')).exportScript,
  sqlite: async () => (await import('./export-sqlite.ts')).exportSqlite,
  files: async () => (await import('./export-files.ts')).exportFiles,
};

/** How backups of that kind are exported. Throws `not_in_this_version` for one that this version does not have. */
export async function exportKindNamed(name: string): Promise<ExportKind> {
  const load = Object.hasOwn(kinds, name) ? kinds[name] : undefined;
  if (load !== undefined) return await load();
  throw failure('not_in_this_version', {
    what: `exporting a backup of kind ${name}`,
    suggestion: 'install the newest Holdfast',
  });
}
