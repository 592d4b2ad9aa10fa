import type { StreamRef } from '../contract/stream.ts';
import { failure, reasonOf } from '../kernel/errors/failure.ts';
import { release } from '../kernel/release.ts';
import { blobIdBytes } from '../pipeline/blob.ts';
import {
  extentRow,
  readExtents,
  readNodeReferences,
  type Extent,
  type NodeReference,
} from '../pipeline/map.ts';
import { type BlobReader, groupReads, type OpenedBlob, type ReadGroup, shortId } from './blob-reader.ts';
import type { Located } from './index-cache.ts';

/** Reads under way ahead of the consumer. With what one reads at most (`BlobReader.readBytes`) this bounds the memory of one open stream. */
const readAhead = 3;
/** Extents of one read, which may be small parts of few blobs. */
const extentWindow = 1024;

/** The extents of a stream, in order; nodes of its map are read as they are needed. */
export async function* extentsOf(
  reader: BlobReader,
  stream: StreamRef,
  signal?: AbortSignal,
): AsyncGenerator<Extent, void, void> {
  for await (const leaf of extentLeaves(reader, stream, signal)) yield* leaf;
}

/** The same a leaf of the map at a time. */
export async function* extentLeaves(
  reader: BlobReader,
  stream: StreamRef,
  signal?: AbortSignal,
): AsyncGenerator<readonly Extent[], void, void> {
  const root = Buffer.from(stream.root ?? '', 'hex');
  for await (const rows of extentRows(reader, stream, signal)) yield readable(root, () => readExtents(rows));
}

/** The same as rows of a map's leaf, a leaf at a time, not looked into. */
export async function* extentRows(
  reader: BlobReader,
  stream: StreamRef,
  signal?: AbortSignal,
): AsyncGenerator<Uint8Array, void, void> {
  if (stream.root === null) return;
  const root = Buffer.from(stream.root, 'hex');
  if (stream.depth > 0) yield* leavesBelow(reader, root, stream.depth, signal);
  else yield extentRow({ id: root, offset: 0, length: stream.size_bytes });
}

async function* leavesBelow(
  reader: BlobReader,
  node: Uint8Array,
  depth: number,
  signal?: AbortSignal,
): AsyncGenerator<Uint8Array, void, void> {
  const bytes = await reader.read(node, signal);
  if (depth === 1) {
    yield bytes;
    return;
  }
  for (const child of childrenOf(node, bytes)) yield* leavesBelow(reader, child.id, depth - 1, signal);
}

function childrenOf(node: Uint8Array, bytes: Uint8Array): readonly NodeReference[] {
  return readable(node, () => readNodeReferences(bytes));
}

function readable<T>(node: Uint8Array, read: () => T): T {
  try {
    return read();
  } catch (error) {
    const damage = { blob: shortId(node), name: 'a map', reason: reasonOf(error) };
    throw failure('blob_damaged', damage, { cause: error });
  }
}

export interface ReadOptions {
  readonly signal?: AbortSignal | undefined;
  /** Pieces are lent until the next one is asked for: their memory is then given back at once. */
  readonly lent?: boolean | undefined;
}

/** The bytes of a stream, in order and checked. Ends with an error when they do not add up to its size. */
export async function* readStream(
  reader: BlobReader,
  stream: StreamRef,
  { signal, lent }: ReadOptions = {},
): AsyncGenerator<Uint8Array, void, void> {
  let sizeBytes = 0;
  for await (const piece of inOrder(reader, plannedReads(reader, extentsOf(reader, stream, signal)), {
    signal,
    lent,
  })) {
    sizeBytes += piece.length;
    yield piece;
  }
  if (sizeBytes !== stream.size_bytes) {
    const blob = stream.root?.slice(0, blobIdBytes) ?? 'of an empty stream';
    const reason = `it leads to ${sizeBytes} bytes instead of ${stream.size_bytes}`;
    throw failure('blob_damaged', { blob, name: 'a map', reason });
  }
}

/** The bytes of these extents, in the order given and checked. */
export async function* readExtentBytes(
  reader: BlobReader,
  extents: readonly Extent[],
  signal?: AbortSignal,
): AsyncGenerator<Uint8Array, void, void> {
  yield* inOrder(reader, plannedReads(reader, extents), { signal });
}

/** Extents that come next, and what to read for them: each blob once, however many parts of it they use. */
interface PlannedRead {
  readonly groups: readonly ReadGroup[];
  readonly extents: readonly Extent[];
}

async function* plannedReads(
  reader: BlobReader,
  extentsInOrder: AsyncIterable<Extent> | Iterable<Extent>,
): AsyncGenerator<PlannedRead, void, void> {
  let extents: Extent[] = [];
  let blobs = new Map<string, Located>();
  let rawBytes = 0;
  for await (const extent of extentsInOrder) {
    const key = keyOf(extent.id);
    if (!blobs.has(key)) {
      const located = reader.locate(extent.id);
      if (
        extents.length > 0 &&
        (rawBytes + located.rawLength > reader.readBytes || extents.length >= extentWindow)
      ) {
        yield { groups: groupReads(inPackOrder(blobs), reader.readBytes), extents };
        extents = [];
        blobs = new Map();
        rawBytes = 0;
      }
      blobs.set(key, located);
      rawBytes += located.rawLength;
    }
    extents.push(extent);
  }
  if (extents.length > 0) yield { groups: groupReads(inPackOrder(blobs), reader.readBytes), extents };
}

/** Changed pages lie in other packs than what is around them: together they are read by fewer requests. */
function inPackOrder(blobs: ReadonlyMap<string, Located>): Located[] {
  const packs = Map.groupBy(blobs.values(), ({ packId }) => packId);
  return [...packs.values()].flatMap((inPack) => inPack.toSorted((a, b) => a.offset - b.offset));
}

function keyOf(id: Uint8Array): string {
  return Buffer.from(id.buffer, id.byteOffset, id.length).toString('latin1');
}

type OpenedBlobs = ReadonlyMap<string, OpenedBlob>;

async function openAll(
  reader: BlobReader,
  groups: readonly ReadGroup[],
  signal?: AbortSignal,
): Promise<OpenedBlobs> {
  const opened = new Map<string, OpenedBlob>();
  await Promise.all(
    groups.map(async (group) => {
      const blobs = await reader.readGroup(group, signal);
      group.blobs.forEach(({ id }, index) => {
        const blob = blobs[index];
        if (blob !== undefined) opened.set(keyOf(id), blob);
      });
    }),
  );
  return opened;
}

/** Starts reads ahead of the consumer and hands their pieces out in order. */
async function* inOrder(
  reader: BlobReader,
  reads: AsyncIterable<PlannedRead>,
  { signal, lent }: ReadOptions,
): AsyncGenerator<Uint8Array, void, void> {
  const ahead: { read: PlannedRead; opened: Promise<OpenedBlobs> }[] = [];
  const next = async function* (): AsyncGenerator<Uint8Array, void, void> {
    const first = ahead.shift();
    if (first === undefined) return;
    const opened = await first.opened;
    yield* piecesOf(first.read, opened);
    if (lent === true) for (const blob of opened.values()) if ('raw' in blob) release(blob.raw);
  };
  try {
    for await (const read of reads) {
      signal?.throwIfAborted();
      const opened = openAll(reader, read.groups, signal);
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
function* piecesOf(read: PlannedRead, opened: OpenedBlobs): Generator<Uint8Array, void, void> {
  let run: Uint8Array = new Uint8Array(0);
  for (const extent of read.extents) {
    const piece = pieceOf(extent, opened.get(keyOf(extent.id)));
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

/** Blobs of which small streams use parts may be this much together; those of further streams are read by themselves. */
const togetherBytes = 8 * 1024 * 1024;

/**
 * The bytes of several whole streams, in order, all in memory at once, in buffers that are the caller's to move. What
 * lies near each other is read by one request: maps of one node first, then what they and streams of one chunk lead to.
 * Others are read one after another.
 */
export async function readTogether(
  reader: BlobReader,
  streams: readonly StreamRef[],
  signal?: AbortSignal,
): Promise<Uint8Array[]> {
  const maps = await flatMaps(reader, streams, signal);
  const blobs = new Map<string, Located>();
  let rawBytes = 0;
  const near = maps.map((extents) => {
    if (extents === null || rawBytes > togetherBytes) return null;
    for (const { id } of extents) {
      const key = keyOf(id);
      if (blobs.has(key)) continue;
      const located = reader.locate(id);
      rawBytes += located.rawLength;
      blobs.set(key, located);
    }
    return extents;
  });
  const opened = await openAll(reader, groupReads(inPackOrder(blobs), reader.readBytes), signal);
  const contents: Uint8Array[] = [];
  for (const [index, stream] of streams.entries()) {
    const extents = near[index] ?? null;
    contents.push(
      extents === null ? await wholeStream(reader, stream, signal) : joined(stream, extents, opened),
    );
  }
  return contents;
}

/** The extents of each stream that has at most one node of a map, all nodes read together; null for the others. */
async function flatMaps(
  reader: BlobReader,
  streams: readonly StreamRef[],
  signal?: AbortSignal,
): Promise<(readonly Extent[] | null)[]> {
  const nodes = new Map<string, Located>();
  for (const { root, depth } of streams) {
    if (root === null || depth !== 1) continue;
    const id = Buffer.from(root, 'hex');
    if (!nodes.has(keyOf(id))) nodes.set(keyOf(id), reader.locate(id));
  }
  const opened = await openAll(reader, groupReads(inPackOrder(nodes), reader.readBytes), signal);
  return streams.map((stream) => {
    if (stream.root === null) return [];
    const id = Buffer.from(stream.root, 'hex');
    if (stream.depth === 0) return [{ id, offset: 0, length: stream.size_bytes }];
    const node = opened.get(keyOf(id));
    if (stream.depth > 1 || node === undefined) return null;
    if ('error' in node) throw node.error;
    return readable(id, () => readExtents(node.raw));
  });
}

function joined(stream: StreamRef, extents: readonly Extent[], opened: OpenedBlobs): Uint8Array {
  const pieces = extents.map((extent) => pieceOf(extent, opened.get(keyOf(extent.id))));
  const [only] = pieces;
  if (only?.length === stream.size_bytes && pieces.length === 1) return only;
  const bytes = new Uint8Array(stream.size_bytes);
  let length = 0;
  for (const piece of pieces) {
    if (length + piece.length <= bytes.length) bytes.set(piece, length);
    length += piece.length;
  }
  if (length === bytes.length) return bytes;
  const reason = `it leads to ${length} bytes instead of ${bytes.length}`;
  throw failure('blob_damaged', { blob: stream.root?.slice(0, 16) ?? '', name: 'a map', reason });
}

async function wholeStream(reader: BlobReader, stream: StreamRef, signal?: AbortSignal): Promise<Uint8Array> {
  const bytes = new Uint8Array(stream.size_bytes);
  let offset = 0;
  for await (const piece of readStream(reader, stream, { signal })) {
    // One that is too long is refused at its end.
    if (offset + piece.length <= bytes.length) bytes.set(piece, offset);
    offset += piece.length;
  }
  return bytes;
}
