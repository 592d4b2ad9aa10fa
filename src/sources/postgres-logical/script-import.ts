import type { BackupContext, BackupOutcome } from '../port.ts';
import { scriptDatabaseSchema, scriptEntry, type ScriptMetadata } from './script-metadata.ts';
import { scriptModule, type ScriptInput } from './script-task.ts';

export interface ScriptImportOptions extends ScriptInput {
  /** What is known of the database it was dumped from; anything. */
  readonly database: unknown;
}

/** Makes a backup of kind `postgres-sql` of a script for psql. Throws `import_*`. */
export async function importScriptFile(
  { database, ...input }: ScriptImportOptions,
  context: BackupContext,
): Promise<BackupOutcome> {
  const { progress, signal } = context;
  progress.phase(`reading ${input.shown}`);
  const output = await context.run(scriptModule, input, {
    signal,
    onProgress: (bytes) => progress.advance(bytes),
  });
  const { stream, statements, tables, rows, transactional } = output;
  await context.addEntry({ ...scriptEntry, stream, meta: { statements, tables, rows } });
  const metadata: ScriptMetadata = {
    schema: 1,
    bytes: stream.size_bytes,
    statements,
    tables,
    rows,
    transactional,
    server_version: output.serverVersion ?? null,
    pg_dump_version: output.dumpVersion ?? null,
    database: scriptDatabaseSchema.strip().safeParse(database).data ?? null,
  };
  return { metadata, warnings: [] };
}
