import { blobIdBytes } from './blob.ts';

/**
 * The map of a stream: a tree whose leaves list extents (blob, offset in it, length) and whose inner nodes list
 * nodes (node, bytes below it). Lengths only, no positions: what is inserted in front moves nothing behind.
 * Nodes end where the last id says so, so that two versions of a stream share the nodes between their differences.
 */
export const mapRecordBytes = 40;
const nodeMinimumRecords = 64;
const nodeMaximumRecords = 4096;

export interface Extent {
  readonly id: Uint8Array;
  readonly offset: number;
  readonly length: number;
}

export interface MapRoot {
  readonly root: string | null;
  readonly depth: number;
  readonly sizeBytes: number;
}

interface Level {
  records: Buffer;
  count: number;
  /** Bytes of the stream below the records of the open node. */
  bytes: number;
  /** Records over all nodes of this level so far. */
  total: number;
}

/** Gives the id of a map node and sees to it that the node is stored. `node` is the receiver's to keep. */
export type StoreNode = (node: Uint8Array) => Uint8Array;

/** Builds the map of one stream, extent by extent; memory stays at one open node a level. */
export class MapBuilder {
  readonly #storeNode: StoreNode;
  readonly #levels: Level[] = [];
  #sizeBytes = 0;

  constructor(storeNode: StoreNode) {
    this.#storeNode = storeNode;
  }

  add(extent: Extent): void {
    this.#sizeBytes += extent.length;
    this.#append(0, extentRow(extent), extent.length);
  }

  /** `mayBeChunk`: every blob was added whole, so that a lone one is the stream itself and needs no map. */
  finish({ mayBeChunk }: { readonly mayBeChunk: boolean }): MapRoot {
    const sizeBytes = this.#sizeBytes;
    const leaves = this.#levels[0];
    if (leaves === undefined) return { root: null, depth: 0, sizeBytes };
    const first = leaves.records;
    if (mayBeChunk && leaves.total === 1 && leaves.count === 1) {
      return { root: first.toString('hex', 0, blobIdBytes), depth: 0, sizeBytes };
    }
    for (let depth = 0; ; depth += 1) {
      const level = this.#levels[depth];
      if (level === undefined) throw new Error('a map without a top');
      if (depth > 0 && level.total === 1) {
        return { root: level.records.toString('hex', 0, blobIdBytes), depth, sizeBytes };
      }
      if (level.count > 0) this.#closeNode(depth, level);
    }
  }

  #append(depth: number, record: Buffer, bytes: number): void {
    const level = (this.#levels[depth] ??= { records: Buffer.alloc(0), count: 0, bytes: 0, total: 0 });
    const at = level.count * mapRecordBytes;
    if (at + mapRecordBytes > level.records.length) {
      const grown = Buffer.alloc(Math.max(mapRecordBytes * 8, level.records.length * 2));
      level.records.copy(grown);
      level.records = grown;
    }
    record.copy(level.records, at);
    level.count += 1;
    level.total += 1;
    level.bytes += bytes;
    const mayEnd = level.count >= nodeMinimumRecords && (record.readUInt16LE(0) & 0x3ff) === 0;
    if (mayEnd || level.count >= nodeMaximumRecords) this.#closeNode(depth, level);
  }

  #closeNode(depth: number, level: Level): void {
    const node = Uint8Array.from(level.records.subarray(0, level.count * mapRecordBytes));
    const record = Buffer.alloc(mapRecordBytes);
    record.set(this.#storeNode(node), 0);
    record.writeBigUInt64LE(BigInt(level.bytes), 32);
    const bytes = level.bytes;
    level.count = 0;
    level.bytes = 0;
    this.#append(depth + 1, record, bytes);
  }
}

/** An extent as a leaf node has it. */
export function extentRow(extent: Extent): Buffer {
  const row = Buffer.allocUnsafe(mapRecordBytes);
  row.set(extent.id, 0);
  row.writeUInt32LE(extent.offset, 32);
  row.writeUInt32LE(extent.length, 36);
  return row;
}

/** The extents of a leaf node. Throws a plain `Error` when it cannot be one. */
export function readExtents(node: Uint8Array): Extent[] {
  return readRecords(node, (view, at, id) => ({
    id,
    offset: view.readUInt32LE(at + 32),
    length: view.readUInt32LE(at + 36),
  }));
}

export interface NodeReference {
  readonly id: Uint8Array;
  readonly sizeBytes: number;
}

/** The children of an inner node. Throws a plain `Error` when it cannot be one. */
export function readNodeReferences(node: Uint8Array): NodeReference[] {
  return readRecords(node, (view, at, id) => ({ id, sizeBytes: Number(view.readBigUInt64LE(at + 32)) }));
}

function readRecords<T>(node: Uint8Array, read: (view: Buffer, at: number, id: Uint8Array) => T): T[] {
  if (node.length === 0 || node.length % mapRecordBytes !== 0) {
    throw new Error(`a map node of ${node.length} bytes`);
  }
  const view = Buffer.from(node.buffer, node.byteOffset, node.byteLength);
  const records: T[] = [];
  for (let at = 0; at < view.length; at += mapRecordBytes) {
    records.push(read(view, at, Uint8Array.from(view.subarray(at, at + blobIdBytes))));
  }
  return records;
}
