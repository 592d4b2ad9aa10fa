import type { StreamRef } from '../../../contract/stream.ts';
import { siblingModule } from '../../../kernel/module-url.ts';
import { extentRow, mapRecordBytes } from '../../../pipeline/map.ts';
import type { TaskContext, TaskModule } from '../../../pipeline/task.ts';
import { isLost } from './lost.ts';
import type { EarlierStretch } from './store-pages.ts';

export interface EarlierInput {
  readonly stream: StreamRef;
  readonly stamps: StreamRef;
}

/** What the parent has of a large relation: rows of a map, and stamps. Null when they cannot be read any more. */
export const earlierModule: TaskModule<EarlierInput, EarlierStretch | null> = {
  url: siblingModule(import.meta.url, './earlier-task.ts'),
  exportName: 'readEarlier',
};

export async function readEarlier(
  { stream, stamps }: EarlierInput,
  { stored }: TaskContext,
): Promise<EarlierStretch | null> {
  try {
    const rows: Buffer[] = [];
    for await (const extents of stored.extents(stream)) {
      const batch = Buffer.alloc(extents.length * mapRecordBytes);
      for (const [index, extent] of extents.entries()) extentRow(extent).copy(batch, index * mapRecordBytes);
      rows.push(batch);
    }
    return {
      extents: Buffer.concat(rows),
      stamps: Buffer.concat(await Array.fromAsync(stored.bytes(stamps))),
    };
  } catch (error) {
    if (isLost(error)) return null;
    throw error;
  }
}
