import { failure } from '../../kernel/errors/failure.ts';
import { shellWord, type ExportItem } from '../export-port.ts';
import type { RestoreContext } from '../port.ts';
import { scriptEntry, scriptMetadataSchema } from './script-metadata.ts';

/** The script of a backup of kind `postgres-sql`, as it was imported. */
export async function planScriptExport(context: RestoreContext): Promise<ExportItem[]> {
  const { bytes, database, ...facts } = scriptMetadataSchema.parse(context.metadata);
  const name = shellWord(database?.name ?? 'restored');
  for await (const { kind, stream } of context.entries()) {
    if (kind !== scriptEntry.kind || stream === null) continue;
    return [
      {
        label: database?.name ?? '',
        extension: '.sql.gz',
        format: 'sql',
        gzip: true,
        bytes,
        contents: { ...facts, ...(database === null ? {} : { database }) },
        warnings: [],
        use: (file) =>
          `createdb ${name} && gunzip -c ${shellWord(file)} | psql -X -v ON_ERROR_STOP=1 -d ${name}`,
        write: async (sink, running) => {
          for await (const piece of running.open(stream)) {
            running.progress.advance(piece.length);
            await sink.write(piece);
          }
        },
      },
    ];
  }
  throw failure('postgres_restore_backup_damaged', { database: '?', reason: 'it has no script' });
}
