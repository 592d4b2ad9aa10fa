import { importBytes } from '../import-bytes.ts';
import type { BackupContext, BackupOutcome } from '../port.ts';
import { addArchives } from './archive-entries.ts';
import { importDumpModule, type ImportDumpInput } from './import-task.ts';
import { entryKinds, type PostgresMetadata } from './metadata.ts';
import { globalsPath } from '../../postgres/names.ts';

export interface DumpImportOptions extends ImportDumpInput {
  /** A script of pg_dumpall with roles and tablespaces of the same server, packed with gzip. */
  readonly globals:
    | { readonly path: string; readonly shown: string; readonly passwords: boolean }
    | undefined;
}

/** Makes a backup of kind `postgres` of an archive that `pg_dump -Fc` or an export wrote. Throws `import_*`. */
export async function importDumpFile(
  { globals, ...input }: DumpImportOptions,
  context: BackupContext,
): Promise<BackupOutcome> {
  const { progress, signal } = context;
  progress.phase(`reading ${input.shown}`);
  const { facts, ...output } = await context.run(importDumpModule, input, {
    signal,
    onProgress: (bytes) => progress.advance(bytes),
    onMessage: (message) => progress.phase(`reading ${(message as { readonly dumping: string }).dumping}`),
  });
  if (globals !== undefined) await addGlobals(globals, context);
  const archive = { number: 0, content: 'all' } as const;
  const sums = await addArchives(facts.database.name, [[archive, { ...output, warnings: [] }]], context);
  const metadata: PostgresMetadata = {
    schema: 1,
    server_version_number: facts.serverVersionNumber,
    server_version: facts.serverVersion,
    pg_dump_version: facts.dumpVersion,
    in_recovery: false,
    globals: { path: globals === undefined ? null : globalsPath, passwords: globals?.passwords ?? false },
    databases: [{ ...facts.database, size_bytes: sums.bytes, ...sums }],
  };
  return { metadata, warnings: [] };
}

async function addGlobals(
  { path, shown, passwords }: NonNullable<DumpImportOptions['globals']>,
  context: BackupContext,
): Promise<void> {
  const writer = context.openStream({ type: 'content', averageBytes: 32_768 });
  for await (const piece of importBytes(path, true, shown)) {
    context.progress.advance(piece.length);
    await writer.write(piece);
  }
  const stream = await writer.finish();
  await context.addEntry({ path: globalsPath, kind: entryKinds.globals, stream, meta: { passwords } });
}
