import { failure } from '../../kernel/errors/failure.ts';
import { planPostgresExport } from '../../sources/postgres-logical/export.ts';
import type { ExportKind } from './export-kind.ts';
import { parseOnly } from './postgres-target.ts';

export const exportPostgres: ExportKind = async (app, manifest, wish, context) => {
  const { format = 'sql' } = wish;
  if (format !== 'sql' && format !== 'dump') {
    throw failure('export_options', {
      option: `--format ${format}`,
      kind: 'PostgreSQL',
      suggestion: 'write --format sql (for psql) or --format dump (for pg_restore)',
    });
  }
  const config = app.config.sources[manifest.source.name];
  const toolsDirectory = config?.type === 'postgres' ? config.client_bin : undefined;
  const { selectors, database } = parseOnly(wish.only, manifest);
  return await planPostgresExport(
    { format, database, only: selectors, toolsDirectory, env: app.env },
    context,
  );
};
