import type { StreamRef } from '../../src/contract/stream.ts';
import type { TaskContext, TaskModule } from '../../src/pipeline/task.ts';

/** A piece of blob `blob` of `blobs`. */
export interface Piece {
  readonly blob: number;
  readonly offset: number;
  readonly length: number;
}

export interface MapInput {
  readonly blobs: readonly Uint8Array[];
  readonly pieces: readonly Piece[];
  /** Streams of one chunk each, stored together. */
  readonly whole: readonly Uint8Array[];
  /** A stream of an earlier backup, to be read back as bytes and extents. */
  readonly earlier: StreamRef | null;
}

export interface MapOutput {
  readonly stream: StreamRef;
  readonly whole: readonly StreamRef[];
  readonly earlierBytes: Uint8Array;
  readonly earlierExtents: number;
  readonly earlierPresent: boolean;
}

/** For a worker: stores a stream of pieces of blobs, many small ones, and looks at what was stored before. */
export async function storeMap(input: MapInput, context: TaskContext): Promise<MapOutput> {
  const map = context.openMap();
  const ids: Uint8Array[] = [];
  for (const blob of input.blobs) ids.push(await map.blob(blob));
  for (const { blob, offset, length } of input.pieces)
    await map.extent({ id: ids[blob] ?? new Uint8Array(32), offset, length });
  const stream = await map.finish();
  const whole = await context.storeWhole(input.whole);
  return { stream, whole, ...(await lookAt(input.earlier, context)) };
}

async function lookAt(
  earlier: StreamRef | null,
  { stored }: TaskContext,
): Promise<Omit<MapOutput, 'stream' | 'whole'>> {
  if (earlier === null) return { earlierBytes: new Uint8Array(0), earlierExtents: 0, earlierPresent: true };
  const extents = (await Array.fromAsync(stored.extents(earlier))).flat();
  const present = await stored.present(extents.map(({ id }) => id));
  return {
    earlierBytes: Buffer.concat(await Array.fromAsync(stored.bytes(earlier))),
    earlierExtents: extents.length,
    earlierPresent: present.every(Boolean),
  };
}

export const mapTask: TaskModule<MapInput, MapOutput> = {
  url: new URL(import.meta.url),
  exportName: 'storeMap',
};
