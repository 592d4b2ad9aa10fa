import { readSync } from 'node:fs';
import type { StreamRef } from '../../../contract/stream.ts';
import type { TaskContext } from '../../../pipeline/task.ts';
import { Buffers } from './buffers.ts';

/** A file of at most so many bytes is one chunk. */
export const wholeBytes = 512 * 1024;
const pieceBytes = 1024 * 1024;
const pieceBuffers = new Buffers(pieceBytes);
const zeros = Buffer.alloc(pieceBytes);

/**
 * Stores what is in an open file of `size` bytes, cut by content. Of one that has grown it takes what is there when it
 * comes to the end, and at most `limit` bytes: one that grows as fast as it is read has no end.
 */
export async function storeInPieces(
  file: number,
  size: number,
  limit: number,
  context: TaskContext,
): Promise<StreamRef> {
  const writer = context.openStream({ type: 'content', averageBytes: 1_048_576 });
  const buffer = pieceBuffers.take();
  for (let at = 0; at < limit;) {
    context.signal.throwIfAborted();
    const wanted = Math.min(pieceBytes, limit - at);
    const length = readSync(file, buffer, 0, wanted, at);
    if (length === 0) break;
    at += length;
    context.progress(length);
    await writer.write(buffer.subarray(0, length));
    if (length < wanted && at >= size) break;
  }
  pieceBuffers.giveBack(buffer);
  return await writer.finish();
}

/** Stores `size` bytes of a file with holes: blocks at fixed places, all that are nothing but zeros as the same one. */
export async function storeSparse(file: number, size: number, context: TaskContext): Promise<StreamRef> {
  const map = context.openMap();
  const buffer = Buffer.allocUnsafe(pieceBytes);
  let zeroId: Uint8Array | undefined;
  for (let at = 0; at < size; at += pieceBytes) {
    context.signal.throwIfAborted();
    const block = readBlock(file, buffer.subarray(0, Math.min(pieceBytes, size - at)), at);
    if (block.length === 0) break;
    context.progress(block.length);
    const isZero = block.length === pieceBytes && block.equals(zeros);
    const id = isZero ? (zeroId ??= await map.blob(zeros)) : await map.blob(block);
    await map.extent({ id, offset: 0, length: block.length });
    if (block.length < pieceBytes) break;
  }
  return await map.finish();
}

/** Fills the buffer from this place of the file on; gives less only where the file ends. */
function readBlock(file: number, buffer: Buffer, from: number): Buffer {
  let length = 0;
  while (length < buffer.length) {
    const got = readSync(file, buffer, length, buffer.length - length, from + length);
    if (got === 0) break;
    length += got;
  }
  return buffer.subarray(0, length);
}
