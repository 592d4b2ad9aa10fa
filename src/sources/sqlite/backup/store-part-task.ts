import { closeSync, openSync, writeSync } from 'node:fs';
import { setImmediate } from 'node:timers/promises';
import { siblingModule } from '../../../kernel/module-url.ts';
import { extentRow, mapRecordBytes } from '../../../pipeline/map.ts';
import type { TaskContext, TaskModule } from '../../../pipeline/task.ts';
import { hashBytes } from '../metadata.ts';
import { fill, pageHashes } from '../page-hash.ts';

export interface StorePartInput {
  readonly read: string;
  readonly pageBytes: number;
  /** Of which bytes of the file; `from` is a multiple of {@link pieceBytes}. */
  readonly from: number;
  readonly to: number;
  /** Files for the extents and the page hashes of the whole database, in which this writes those of its part. */
  readonly extents: string;
  readonly hashes: string;
}

export const storePartModule: TaskModule<StorePartInput, null> = {
  url: siblingModule(import.meta.url, './store-part-task.ts'),
  exportName: 'storePart',
};

/** Each is one blob. A multiple of every size that pages can have. */
export const pieceBytes = 128 * 1024;

/** Stores a part of a database of which there is no earlier version, so that several can be stored at once. */
export async function storePart(input: StorePartInput, context: TaskContext): Promise<null> {
  const { read, pageBytes, from, to } = input;
  const file = openSync(read, 'r');
  const extents = openSync(input.extents, 'r+');
  const hashes = openSync(input.hashes, 'r+');
  try {
    const map = context.openMap();
    const buffer = Buffer.allocUnsafe(pieceBytes);
    for (let at = from; at < to; at += pieceBytes) {
      const piece = buffer.subarray(0, Math.min(pieceBytes, to - at));
      fill(file, piece, at);
      const id = await map.blob(piece);
      writeAt(
        extents,
        extentRow({ id, offset: 0, length: piece.length }),
        (at / pieceBytes) * mapRecordBytes,
      );
      writeAt(hashes, pageHashes(piece, pageBytes), (at / pageBytes) * hashBytes);
      context.progress(piece.length);
      await setImmediate(); // So that an abort is heard.
      context.signal.throwIfAborted();
    }
    await map.store();
    return null;
  } finally {
    for (const handle of [file, extents, hashes]) closeSync(handle);
  }
}

function writeAt(handle: number, bytes: Uint8Array, position: number): void {
  for (let at = 0; at < bytes.length;) at += writeSync(handle, bytes, at, bytes.length - at, position + at);
}
