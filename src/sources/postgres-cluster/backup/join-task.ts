import type { StreamRef } from '../../../contract/stream.ts';
import { siblingModule } from '../../../kernel/module-url.ts';
import { readExtents } from '../../../pipeline/map.ts';
import type { TaskContext, TaskModule } from '../../../pipeline/task.ts';
import { isLost } from './lost.ts';
import { StampsWriter } from './stamps.ts';
import { StoredReader } from '../../../pipeline/stored-reader.ts';

export interface JoinInput {
  /** Rows of the map of each stretch. */
  readonly extents: readonly Uint8Array[];
  /** Null for a file that has none. */
  readonly stamps: readonly Uint8Array[] | null;
  readonly previousStamps: StreamRef | null;
}

export interface Joined {
  readonly stream: StreamRef;
  readonly stamps: StreamRef | null;
}

export const joinModule: TaskModule<JoinInput, Joined> = {
  url: siblingModule(import.meta.url, './join-task.ts'),
  exportName: 'joinStretches',
};

/** Makes the maps of a large file whose stretches are stored. */
export async function joinStretches(input: JoinInput, context: TaskContext): Promise<Joined> {
  const map = context.openMap();
  for (const rows of input.extents) {
    context.signal.throwIfAborted();
    if (rows.length > 0) for (const extent of readExtents(rows)) await map.extent(extent);
  }
  const stream = await map.finish();
  if (input.stamps === null) return { stream, stamps: null };
  try {
    return { stream, stamps: await storeStamps(input.stamps, input.previousStamps, context) };
  } catch (error) {
    // The earlier version is damaged or gone: then everything is stored anew.
    if (!isLost(error) || input.previousStamps === null) throw error;
    return { stream, stamps: await storeStamps(input.stamps, null, context) };
  }
}

async function storeStamps(
  parts: readonly Uint8Array[],
  previous: StreamRef | null,
  context: TaskContext,
): Promise<StreamRef> {
  const writer = new StampsWriter(context.openMap(), context.stored, previous);
  const before = new StoredReader(context.stored, previous);
  for (const part of parts) await writer.add(Buffer.from(part), await before.read(part.length));
  await before.close();
  return await writer.finish();
}
