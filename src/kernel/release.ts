import { isMarkedAsUntransferable } from 'node:worker_threads';

/** Smaller buffers are not worth the words. */
const worthwhileBytes = 4096;

/**
 * Gives the memory behind `bytes` back at once, every view of it becoming empty. A thread collects its garbage only
 * when some dozens of megabytes of buffers lie dead, which many threads together do not have to spare.
 */
export function release(bytes: Uint8Array): void {
  const { buffer } = bytes;
  if (canMove(buffer)) buffer.transfer(0);
}

/** The buffers behind `pieces`, each once, to move with them to another thread; those that may not be are left out. */
export function buffersToMove(pieces: readonly Uint8Array[]): readonly ArrayBuffer[] {
  const buffers = new Set<ArrayBuffer>();
  for (const { buffer } of pieces) if (canMove(buffer)) buffers.add(buffer);
  return [...buffers];
}

/** Node shares a pool among small buffers, which may not move. */
function canMove(buffer: ArrayBufferLike): buffer is ArrayBuffer {
  return (
    buffer instanceof ArrayBuffer && buffer.byteLength >= worthwhileBytes && !isMarkedAsUntransferable(buffer)
  );
}
