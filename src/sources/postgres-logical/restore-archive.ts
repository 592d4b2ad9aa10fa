import { failure } from '../../kernel/errors/failure.ts';
import type { Entry, StreamRef } from '../../contract/stream.ts';
import type { RestoreContext } from '../port.ts';
import { mergeArchives, type ArchivePart, type BlockSource, type MergedArchive } from './archive/merge.ts';
import { parseToc } from './archive/toc-reader.ts';
import {
  blobsMetaSchema,
  entryKinds,
  postgresMetadataSchema,
  tableMetaSchema,
  tocMetaSchema,
  type DatabaseMetadata,
  type PostgresMetadata,
} from './metadata.ts';

/** The metadata of a backup of kind `postgres`. Throws `postgres_restore_backup_damaged`. */
export function readMetadata(metadata: Readonly<Record<string, unknown>>): PostgresMetadata {
  const parsed = postgresMetadataSchema.safeParse(metadata);
  if (parsed.success) return parsed.data;
  throw failure('postgres_restore_backup_damaged', {
    database: '?',
    reason: `its metadata do not parse: ${parsed.error.message}`,
  });
}

/** The database to restore: the one asked for, else the only one, else the one called as the target is. */
export function chooseDatabase(
  metadata: PostgresMetadata,
  wanted: string | undefined,
  target: string,
): DatabaseMetadata {
  const { databases } = metadata;
  const [only] = databases;
  if (wanted === undefined && databases.length === 1 && only !== undefined) return only;
  const name = wanted ?? target;
  const found = databases.find((database) => database.name === name);
  if (found !== undefined) return found;
  throw failure('postgres_restore_database', {
    databases: databases.map((database) => database.name).join(', '),
    wanted: name,
    example: only?.name ?? name,
  });
}

/** The archives of a database, joined. Throws `postgres_restore_backup_damaged` when something is missing. */
export async function loadArchive(
  database: DatabaseMetadata,
  context: RestoreContext,
): Promise<MergedArchive> {
  const tocs = new Map<number, Uint8Array>();
  const blocks = new Map<number, Map<number, BlockSource>>();
  for await (const entry of context.entries()) {
    if (entry.meta['database'] !== database.name) continue;
    if (entry.kind === entryKinds.toc) {
      tocs.set(tocMetaSchema.parse(entry.meta).archive, await readAll(context, entry.stream));
      continue;
    }
    const block = blockOf(entry);
    if (block === undefined) continue;
    const { archive, dump_id } = block.meta;
    const ofArchive = blocks.get(archive) ?? new Map<number, BlockSource>();
    blocks.set(archive, ofArchive.set(dump_id, block));
  }
  const parts = database.archives.map(({ number }): ArchivePart => {
    const bytes = tocs.get(number);
    if (bytes === undefined) {
      throw failure('postgres_restore_backup_damaged', {
        database: database.name,
        reason: `the table of contents of archive ${number} is missing`,
      });
    }
    return { number, toc: parseToc(bytes), blocks: blocks.get(number) ?? new Map() };
  });
  return mergeArchives(parts, database.name);
}

/** The SQL of `pg.globals`, or undefined when the backup has none. */
export async function loadGlobals(context: RestoreContext): Promise<string | undefined> {
  for await (const entry of context.entries()) {
    if (entry.kind === entryKinds.globals)
      return new TextDecoder().decode(await readAll(context, entry.stream));
  }
  return undefined;
}

function blockOf({ kind, meta, stream }: Entry): BlockSource | undefined {
  if (kind === entryKinds.table) return { kind: 'table', meta: tableMetaSchema.parse(meta), stream };
  if (kind === entryKinds.blobs) return { kind: 'blobs', meta: blobsMetaSchema.parse(meta), stream };
  return undefined;
}

async function readAll(context: RestoreContext, stream: StreamRef | null): Promise<Uint8Array> {
  if (stream === null) return new Uint8Array();
  const pieces: Uint8Array[] = [];
  for await (const piece of context.open(stream)) pieces.push(Buffer.from(piece));
  return Buffer.concat(pieces);
}
