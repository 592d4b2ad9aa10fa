import { failure, isFailure } from '../../kernel/errors/failure.ts';
import type { Task, TaskModule } from '../../pipeline/task.ts';
import { importBytes } from '../import-bytes.ts';
import type { ArchiveToc } from './archive/toc.ts';
import { ArchiveSplitter, type DumpOutput } from './dump-task.ts';
import { databaseInArchive, type ArchiveFacts } from './import-facts.ts';
import { inflated } from './import-inflate.ts';

export interface ImportDumpInput {
  readonly path: string;
  /** The file as a whole is packed with gzip, over what pg_dump does itself. */
  readonly gzip: boolean;
  /** The file's name in errors. */
  readonly shown: string;
}

export interface ImportDumpOutput extends Omit<DumpOutput, 'warnings'> {
  readonly facts: ArchiveFacts;
}

export const importDumpModule: TaskModule<ImportDumpInput, ImportDumpOutput> = {
  url: new URL(import.meta.url),
  exportName: 'importDump',
};

/** Stores an archive in a file as a backup stores that of pg_dump. Throws `import_*`. */
export const importDump: Task<ImportDumpInput, ImportDumpOutput> = async (input, context) => {
  const { path, gzip, shown } = input;
  let facts: ArchiveFacts | undefined;
  const check = (toc: ArchiveToc): void => {
    refuseOtherData(toc, shown);
    facts = databaseInArchive(toc);
  };
  const splitter = new ArchiveSplitter(context, shown);
  try {
    for await (const piece of inflated(importBytes(path, gzip, shown), shown, check)) {
      context.signal.throwIfAborted();
      context.progress(piece.length);
      await splitter.push(piece);
    }
    const output = splitter.finish();
    if (facts === undefined) throw failure('internal', { reason: 'an archive without a table of contents' });
    return { ...output, facts };
  } catch (error) {
    context.signal.throwIfAborted();
    // What these say about pg_dump is true of the file it wrote.
    if (!isFailure(error, 'postgres_archive_truncated') && !isFailure(error, 'postgres_archive_unknown'))
      throw error;
    throw failure('import_damaged', { file: shown, reason: error.message }, { cause: error });
  }
};

/** What could not be restored, or not be compared after it, as a backup of ours can. */
function refuseOtherData({ entries }: ArchiveToc, file: string): void {
  const data = entries.filter(({ description }) => description === 'TABLE DATA');
  const inserted = data.find(({ copyStatement, hasData }) => hasData && copyStatement === '');
  if (inserted !== undefined) {
    throw failure('import_unsupported', {
      file,
      what: `rows of ${inserted.schema}.${inserted.tag} as INSERT statements`,
      mend: 'make it anew without --inserts and --column-inserts, or restore it and back up the database',
    });
  }
  if (data.length > 0 && !entries.some(({ description }) => description === 'TABLE')) {
    throw failure('import_unsupported', {
      file,
      what: 'rows without the tables they belong to',
      mend: 'make it anew without --data-only and --section',
    });
  }
}
