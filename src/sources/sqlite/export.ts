import { basename } from 'node:path';
import { pathBytes } from '../../kernel/byte-path.ts';
import { shellWord, type ExportItem } from '../export-port.ts';
import type { RestoreContext } from '../port.ts';
import { judgeCheck, warningOf } from './judge.ts';
import { choose, databasesIn, type Chosen } from './restore/plan.ts';

export interface SqliteExportOptions {
  /** Paths or patterns of databases; all when empty. */
  readonly only: readonly string[];
}

/** The files a backup of kind `sqlite` is exported to, one for each database. Writes nothing. */
export async function planSqliteExport(
  { only }: SqliteExportOptions,
  context: RestoreContext,
): Promise<ExportItem[]> {
  return choose(await databasesIn(context), only).map(item);
}

function item({ path, entry, meta, bytes }: Chosen): ExportItem {
  const { problem } = judgeCheck(path, meta.check);
  return {
    label: basename(pathBytes(path).toString()).replace(/\.(?:db|sqlite3?)$/i, ''),
    extension: '.db',
    format: 'db',
    gzip: false,
    bytes,
    contents: {
      path,
      file: meta.file,
      page_size: meta.page_size,
      pages: meta.pages,
      encoding: meta.encoding,
      user_version: meta.user_version,
      application_id: meta.application_id,
      check: meta.check,
    },
    warnings: problem === null ? [] : [warningOf(problem)],
    use: (file) => `sqlite3 ${shellWord(file)}`,
    write: async (sink, running) => {
      if (entry.stream === null) return;
      for await (const piece of running.open(entry.stream)) {
        running.progress.advance(piece.length);
        await sink.write(piece);
      }
    },
  };
}
