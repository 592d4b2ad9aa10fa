import type { StreamRef } from '../contract/stream.ts';
import { failure, reasonOf } from '../kernel/errors/failure.ts';
import { blobIdBytes } from '../pipeline/blob.ts';
import { readExtents, readNodeReferences, type Extent } from '../pipeline/map.ts';
import { type BlobReader, groupReads, type OpenedBlob, type ReadGroup, shortId } from './blob-reader.ts';
import type { Located } from './index-cache.ts';

/** Reads under way ahead of the consumer. With groups of at most 2 MiB this bounds the memory of one open stream. */
const readAhead = 3;
/** Extents looked up and grouped at a time. */
const extentWindow = 256;

/** The extents of a stream, in order; nodes of its map are read as they are needed. */
export async function* extentsOf(
  reader: BlobReader,
  stream: StreamRef,
  signal?: AbortSignal,
): AsyncGenerator<Extent, void, void> {
  if (stream.root === null) return;
  const root = Buffer.from(stream.root, 'hex');
  if (stream.depth === 0) {
    yield { id: root, offset: 0, length: stream.size_bytes };
    return;
  }
  yield* extentsBelow(reader, root, stream.depth, signal);
}

async function* extentsBelow(
  reader: BlobReader,
  node: Uint8Array,
  depth: number,
  signal?: AbortSignal,
): AsyncGenerator<Extent, void, void> {
  const bytes = await reader.read(node, signal);
  try {
    if (depth === 1) {
      yield* readExtents(bytes);
      return;
    }
  } catch (error) {
    throw failure(
      'blob_damaged',
      { blob: shortId(node), name: 'a map', reason: reasonOf(error) },
      { cause: error },
    );
  }
  for (const child of readNodeReferences(bytes)) yield* extentsBelow(reader, child.id, depth - 1, signal);
}

/** The bytes of a stream, in order and checked. Ends with an error when they do not add up to its size. */
export async function* readStream(
  reader: BlobReader,
  stream: StreamRef,
  signal?: AbortSignal,
): AsyncGenerator<Uint8Array, void, void> {
  let sizeBytes = 0;
  for await (const piece of inOrder(reader, plannedReads(reader, stream, signal), signal)) {
    sizeBytes += piece.length;
    yield piece;
  }
  if (sizeBytes !== stream.size_bytes) {
    const blob = stream.root?.slice(0, blobIdBytes) ?? 'of an empty stream';
    const reason = `it leads to ${sizeBytes} bytes instead of ${stream.size_bytes}`;
    throw failure('blob_damaged', { blob, name: 'a map', reason });
  }
}

interface PlannedRead {
  readonly group: ReadGroup;
  readonly extents: readonly Extent[];
}

async function* plannedReads(
  reader: BlobReader,
  stream: StreamRef,
  signal?: AbortSignal,
): AsyncGenerator<PlannedRead, void, void> {
  let window: Extent[] = [];
  for await (const extent of extentsOf(reader, stream, signal)) {
    window.push(extent);
    if (window.length < extentWindow) continue;
    yield* planWindow(reader, window);
    window = [];
  }
  yield* planWindow(reader, window);
}

function* planWindow(reader: BlobReader, extents: readonly Extent[]): Generator<PlannedRead, void, void> {
  const located: Located[] = extents.map((extent) => reader.locate(extent.id));
  let from = 0;
  for (const group of groupReads(located)) {
    yield { group, extents: extents.slice(from, from + group.blobs.length) };
    from += group.blobs.length;
  }
}

/** Starts reads ahead of the consumer and hands their pieces out in order. */
async function* inOrder(
  reader: BlobReader,
  reads: AsyncIterable<PlannedRead>,
  signal?: AbortSignal,
): AsyncGenerator<Uint8Array, void, void> {
  const ahead: { read: PlannedRead; opened: Promise<readonly OpenedBlob[]> }[] = [];
  const next = async function* (): AsyncGenerator<Uint8Array, void, void> {
    const first = ahead.shift();
    if (first !== undefined) yield* piecesOf(first.read, await first.opened);
  };
  try {
    for await (const read of reads) {
      signal?.throwIfAborted();
      const opened = reader.readGroup(read.group, signal);
      opened.catch(() => {}); // Awaited later, in order; until then a rejection is not unhandled.
      ahead.push({ read, opened });
      if (ahead.length >= readAhead) yield* next();
    }
    while (ahead.length > 0) yield* next();
  } finally {
    await Promise.allSettled(ahead.map(({ opened }) => opened));
  }
}

/** What the extents cover, in as few pieces as lie together in memory. */
function* piecesOf(read: PlannedRead, opened: readonly OpenedBlob[]): Generator<Uint8Array, void, void> {
  let run: Uint8Array = new Uint8Array(0);
  for (const [index, extent] of read.extents.entries()) {
    const piece = pieceOf(extent, opened[index]);
    if (run.buffer === piece.buffer && run.byteOffset + run.length === piece.byteOffset) {
      run = new Uint8Array(run.buffer, run.byteOffset, run.length + piece.length);
    } else {
      if (run.length > 0) yield run;
      run = piece;
    }
  }
  if (run.length > 0) yield run;
}

function pieceOf(extent: Extent, blob: OpenedBlob | undefined): Uint8Array {
  if (blob === undefined) throw failure('blob_missing', { blob: shortId(extent.id) });
  if ('error' in blob) throw blob.error;
  const piece = blob.raw.subarray(extent.offset, extent.offset + extent.length);
  if (piece.length === extent.length) return piece;
  const reason = `the map asks for bytes ${extent.offset} to ${extent.offset + extent.length} of ${blob.raw.length}`;
  throw failure('blob_damaged', { blob: shortId(extent.id), name: 'a map', reason });
}
