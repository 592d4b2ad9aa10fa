import type { StreamRef } from '../contract/stream.ts';
import { failure, isFailure, reasonOf } from '../kernel/errors/failure.ts';
import { readExtents, readNodeReferences } from '../pipeline/map.ts';
import { type BlobReader, shortId } from './blob-reader.ts';

/** Told of the nodes of a stream's map on the way to its chunks. */
export interface NodeVisitor {
  /** A map node, before it is read; false to pass over it and everything below. */
  node(id: Uint8Array): boolean;
  /** A map node that cannot be read: what is below it stays unknown. May throw to end the walk. */
  unreadable(id: Uint8Array, error: Error): void;
}

/**
 * The ids of the chunks a stream is made of, in order, a leaf of the map at a time (so at most some thousands).
 * A damaged node costs what is below it and no more.
 */
export async function* walkStream(
  reader: BlobReader,
  stream: StreamRef,
  visitor: NodeVisitor,
  signal?: AbortSignal,
): AsyncGenerator<readonly Uint8Array[], void, void> {
  if (stream.root === null) return;
  const root = Buffer.from(stream.root, 'hex');
  if (stream.depth === 0) yield [root];
  else yield* walkBelow(reader, root, stream.depth, visitor, signal);
}

async function* walkBelow(
  reader: BlobReader,
  id: Uint8Array,
  depth: number,
  visitor: NodeVisitor,
  signal?: AbortSignal,
): AsyncGenerator<readonly Uint8Array[], void, void> {
  signal?.throwIfAborted();
  if (!visitor.node(id)) return;
  const children = await readChildren(reader, id, depth, visitor, signal);
  if (depth === 1) yield children;
  else for (const child of children) yield* walkBelow(reader, child, depth - 1, visitor, signal);
}

async function readChildren(
  reader: BlobReader,
  id: Uint8Array,
  depth: number,
  visitor: NodeVisitor,
  signal?: AbortSignal,
): Promise<readonly Uint8Array[]> {
  try {
    const node = await reader.read(id, signal);
    return (depth === 1 ? readExtents(node) : readNodeReferences(node)).map((child) => child.id);
  } catch (error) {
    signal?.throwIfAborted();
    const damage = { blob: shortId(id), name: 'a map', reason: reasonOf(error) };
    visitor.unreadable(id, isFailure(error) ? error : failure('blob_damaged', damage, { cause: error }));
    return [];
  }
}
