import { failure } from '../../kernel/errors/failure.ts';
import { shellWord, type ExportItem, type ExportSink } from '../export-port.ts';
import type { RestoreContext } from '../port.ts';
import type { MergedArchive } from './archive/merge.ts';
import { startChild, writeTo, type Child } from '../../postgres/child.ts';
import type { Environment } from '../../postgres/connection/connection.ts';
import { plainArchive, withOnly, writeArchive } from './export-archive.ts';
import { entryKinds, type DatabaseMetadata, type PostgresMetadata } from './metadata.ts';
import { chooseDatabase, loadArchive, readMetadata } from './restore-archive.ts';
import type { Selector } from './restore-options.ts';
import { selectEntries } from './selection.ts';
import { toolReason } from '../../postgres/connection/server-errors.ts';
import { findWiden, type Command } from '../../postgres/stdio-buffers.ts';
import { findTools, toolPath } from '../../postgres/tools.ts';

export interface PostgresExportOptions {
  /** `sql`: a script for psql. `dump`: an archive for pg_restore. */
  readonly format: 'sql' | 'dump';
  /** One database of the backup; all when undefined, unless `only` selects something in one. */
  readonly database: string | undefined;
  readonly only: readonly Selector[];
  readonly toolsDirectory: string | undefined;
  readonly env: Environment;
}

/** The files a backup of kind `postgres` is exported to, in the order to load them: one with roles, one for each database. Writes nothing. */
export async function planPostgresExport(
  options: PostgresExportOptions,
  context: RestoreContext,
): Promise<ExportItem[]> {
  const metadata = readMetadata(context.metadata);
  const selective = options.only.length > 0;
  const databases = databasesOf(metadata, options);
  const convert = options.format === 'sql' ? await converter(options, metadata, context) : undefined;
  const items: ExportItem[] = [];
  for (const database of databases) {
    context.signal.throwIfAborted();
    items.push(await databaseItem(options, metadata, database, convert, context));
  }
  const globals = selective ? undefined : await globalsItem(metadata, context);
  return globals === undefined ? items : [globals, ...items];
}

function databasesOf(
  metadata: PostgresMetadata,
  { database, only }: PostgresExportOptions,
): readonly DatabaseMetadata[] {
  const { databases } = metadata;
  if (database !== undefined) return [chooseDatabase(metadata, database, database)];
  if (only.length > 0 && databases.length > 1) {
    throw failure('usage', {
      reason: '--only does not say in which database of the backup to look',
      suggestion: `add one of ${databases.map(({ name }) => `--only database=${name}`).join(', ')}`,
    });
  }
  return databases;
}

async function databaseItem(
  options: PostgresExportOptions,
  metadata: PostgresMetadata,
  database: DatabaseMetadata,
  convert: Command | undefined,
  context: RestoreContext,
): Promise<ExportItem> {
  const { only } = options;
  const whole = await loadArchive(database, context);
  const { archive, warnings } = only.length === 0 ? { archive: whole, warnings: [] } : selected(whole, only);
  const sizes = archive.toc.entries.map(({ dumpId }) => archive.blocks.get(dumpId)?.stream?.size_bytes ?? 0);
  const { archives: _archives, ...facts } = database;
  const name = shellWord(database.name);
  return {
    label: database.name,
    extension: convert === undefined ? '.dump' : '.sql.gz',
    format: convert === undefined ? 'dump' : 'sql',
    gzip: convert !== undefined,
    bytes: sizes.reduce((sum, size) => sum + size, 0),
    contents: {
      database: facts,
      server_version: metadata.server_version,
      pg_dump_version: metadata.pg_dump_version,
      ...(only.length === 0 ? {} : { only: only.map(selectorText) }),
    },
    warnings,
    use: (file) =>
      convert === undefined
        ? `createdb ${name} && pg_restore -d ${name} ${shellWord(file)}`
        : `createdb ${name} && gunzip -c ${shellWord(file)} | psql -X -v ON_ERROR_STOP=1 -d ${name}`,
    write: (sink, running) =>
      convert === undefined
        ? writeArchive(archive, sink, running)
        : writeScript(convert, options.env, archive, sink, running),
  };
}

/** The entries that `--only` means, without foreign keys to tables that are not among them. */
function selected(archive: MergedArchive, only: readonly Selector[]) {
  const { entries, outwardKeys, warnings } = selectEntries(archive.toc.entries, only);
  const left = new Set(outwardKeys.map(({ entry }) => entry.dumpId));
  return {
    archive: withOnly(
      archive,
      entries.filter(({ dumpId }) => !left.has(dumpId)),
    ),
    warnings: [
      ...warnings,
      ...outwardKeys.map(
        ({ entry, schema, table }) =>
          `foreign key ${entry.tag} is left out, because table ${schema}.${table} is not in it`,
      ),
    ],
  };
}

function selectorText(selector: Selector): string {
  if (selector.kind === 'schema') return `schema=${selector.schema}`;
  return `table=${selector.schema === undefined ? '' : `${selector.schema}.`}${selector.table}`;
}

async function globalsItem(
  metadata: PostgresMetadata,
  context: RestoreContext,
): Promise<ExportItem | undefined> {
  if (metadata.globals.path === null) return undefined;
  for await (const { kind, stream } of context.entries()) {
    if (kind !== entryKinds.globals || stream === null) continue;
    return {
      label: 'globals',
      extension: '.sql.gz',
      format: 'sql',
      gzip: true,
      shared: true,
      bytes: stream.size_bytes,
      contents: {
        globals: 'roles and tablespaces of the server',
        passwords: metadata.globals.passwords,
        server_version: metadata.server_version,
      },
      warnings: [],
      use: (file) => `gunzip -c ${shellWord(file)} | psql -X -d postgres`,
      write: async (sink, running) => {
        for await (const piece of running.open(stream)) {
          running.progress.advance(piece.length);
          await sink.write(piece);
        }
      },
    };
  }
  return undefined;
}

/** The pg_restore that turns an archive into a script. */
async function converter(
  { env, toolsDirectory }: PostgresExportOptions,
  metadata: PostgresMetadata,
  { signal }: RestoreContext,
): Promise<Command> {
  const search = { env, signal, directory: toolsDirectory };
  const { pg_dump_version: version } = metadata;
  const major = Number.parseInt(version, 10);
  const tools = await findTools(search, 'pg_restore', major, `an archive of pg_dump ${version}`);
  const widen = await findWiden(search);
  // Before 12 it wrote to standard output unless told otherwise, and took `-` for the name of a file.
  const args = ['--format=custom', ...(tools.major >= 12 ? ['--file=-'] : [])];
  return widen({ command: toolPath(tools, 'pg_restore'), args });
}

async function writeScript(
  command: Command,
  env: Environment,
  archive: MergedArchive,
  sink: ExportSink,
  context: RestoreContext,
): Promise<void> {
  const child = startChild({
    ...command,
    env: { PATH: env['PATH'] ?? '', LC_ALL: 'C' },
    signal: context.signal,
    stdin: 'pipe',
    stdout: 'pipe',
  });
  const [fed, read] = await Promise.allSettled([
    stoppingOnFailure(child, feed(child, archive, context)),
    stoppingOnFailure(child, drain(child, sink)),
  ]);
  context.signal.throwIfAborted();
  // Where our own side failed, pg_restore was stopped, and what it says of that means nothing.
  if (fed.status === 'rejected') throw fed.reason;
  const exit = await child.exit;
  if (exit.code !== 0) {
    const status = exit.signal === null ? `exit ${exit.code ?? '?'}` : `ended by ${exit.signal}`;
    if (read.status === 'rejected' && exit.signal !== null) throw read.reason;
    throw failure('postgres_tool_failed', { tool: 'pg_restore', status, reason: toolReason(exit.stderr) });
  }
  if (read.status === 'rejected') throw read.reason;
  if (!fed.value) {
    const reason = 'it ended without having read the whole archive';
    throw failure('postgres_tool_failed', { tool: 'pg_restore', status: 'exit 0', reason });
  }
}

async function stoppingOnFailure<T>(child: Child, work: Promise<T>): Promise<T> {
  try {
    return await work;
  } catch (error) {
    await child.stop();
    throw error;
  }
}

/** False when pg_restore stopped reading, whose exit status then says why. */
async function feed(child: Child, archive: MergedArchive, context: RestoreContext): Promise<boolean> {
  const { stdin } = child;
  if (stdin === undefined) throw failure('internal', { reason: 'pg_restore without standard input' });
  for await (const piece of plainArchive(archive, context)) if (!(await writeTo(stdin, piece))) return false;
  stdin.end();
  return true;
}

async function drain(child: Child, sink: ExportSink): Promise<void> {
  for await (const piece of child.stdout as AsyncIterable<Buffer>) await sink.write(piece);
}
