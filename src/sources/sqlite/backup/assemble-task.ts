import { closeSync, openSync } from 'node:fs';
import type { StreamRef } from '../../../contract/stream.ts';
import { siblingModule } from '../../../kernel/module-url.ts';
import { mapRecordBytes, readExtents } from '../../../pipeline/map.ts';
import type { TaskContext, TaskModule } from '../../../pipeline/task.ts';
import { HashMapWriter } from './hash-map.ts';
import { hashBytes } from '../metadata.ts';
import { fill } from '../page-hash.ts';

export interface AssembleInput {
  /** As the tasks have written them that stored the parts. */
  readonly extents: string;
  readonly pieces: number;
  readonly hashes: string;
  readonly pages: number;
}

export const assembleModule: TaskModule<
  AssembleInput,
  { readonly database: StreamRef; readonly hashes: StreamRef }
> = {
  url: siblingModule(import.meta.url, './assemble-task.ts'),
  exportName: 'assemblePages',
};

const rowsAtOnce = 4096;

/** Makes the maps of a database, and of its hashes, whose parts are stored. */
export async function assemblePages(
  input: AssembleInput,
  context: TaskContext,
): Promise<{ readonly database: StreamRef; readonly hashes: StreamRef }> {
  const map = context.openMap();
  for (const rows of rowsOf(input.extents, input.pieces, mapRecordBytes)) {
    context.signal.throwIfAborted();
    for (const extent of readExtents(rows)) await map.extent(extent);
  }
  const hashes = new HashMapWriter(context.openMap(), context.stored, null);
  for (const rows of rowsOf(input.hashes, input.pages, hashBytes)) {
    context.signal.throwIfAborted();
    await hashes.add(rows);
  }
  return { database: await map.finish(), hashes: await hashes.finish() };
}

function* rowsOf(path: string, count: number, rowBytes: number): Generator<Buffer, void, void> {
  const handle = openSync(path, 'r');
  try {
    for (let row = 0; row < count; row += rowsAtOnce) {
      const rows = Buffer.alloc(Math.min(rowsAtOnce, count - row) * rowBytes);
      fill(handle, rows, row * rowBytes);
      yield rows;
    }
  } finally {
    closeSync(handle);
  }
}
