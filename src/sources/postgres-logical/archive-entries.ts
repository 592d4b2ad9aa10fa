import type { BackupContext } from '../port.ts';
import type { ArchivePlan } from './dump-plan.ts';
import type { DumpBlock, DumpOutput } from './dump-task.ts';
import { entryKinds, type ArchiveMetadata, type DatabaseMetadata } from './metadata.ts';
import { blobsPath, tablePath, tocPath } from '../../postgres/names.ts';

type Archives = Pick<DatabaseMetadata, 'tables' | 'rows' | 'bytes' | 'archives'>;

/** Adds the entries of a database's archives, and sums up what is in them. */
export async function addArchives(
  database: string,
  outputs: readonly (readonly [Pick<ArchivePlan, 'number' | 'content'>, DumpOutput])[],
  context: BackupContext,
): Promise<Archives> {
  const sums = { tables: 0, rows: 0, bytes: 0 };
  const archives: ArchiveMetadata[] = [];
  for (const [{ number: archive, content }, output] of outputs) {
    const toc = tocPath(database, archive);
    await context.addEntry({
      path: toc,
      kind: entryKinds.toc,
      stream: output.toc,
      meta: { database, archive, encoding: output.encoding, entries: output.tocEntries },
    });
    let tables = 0;
    let blobs = 0;
    for (const block of output.blocks) {
      await addBlock(database, archive, block, blobs, context);
      if (block.kind === 'blobs') {
        blobs += 1;
      } else {
        tables += 1;
        sums.rows += block.rows;
        sums.bytes += block.bytes;
      }
    }
    sums.tables += tables;
    archives.push({ number: archive, content, toc, tables, blobs });
  }
  return { ...sums, archives };
}

async function addBlock(
  database: string,
  archive: number,
  block: DumpBlock,
  blobsBefore: number,
  context: BackupContext,
): Promise<void> {
  if (block.kind === 'blobs') {
    const { dumpId: dump_id, objects, bytes, fingerprint, stream } = block;
    await context.addEntry({
      path: blobsPath(database, archive, blobsBefore),
      kind: entryKinds.blobs,
      stream,
      meta: { database, archive, dump_id, objects, bytes, fingerprint },
    });
    return;
  }
  const { dumpId: dump_id, schema, table, rows, bytes, fingerprint, stream } = block;
  await context.addEntry({
    path: tablePath(database, schema, table),
    kind: entryKinds.table,
    stream,
    meta: { database, archive, dump_id, schema, table, rows, bytes, fingerprint },
  });
}
