import { closeSync, fstatSync } from 'node:fs';
import { setImmediate } from 'node:timers/promises';
import type { StreamRef } from '../../../contract/stream.ts';
import { siblingModule } from '../../../kernel/module-url.ts';
import { extentRow, readExtents } from '../../../pipeline/map.ts';
import type { TaskContext, TaskModule } from '../../../pipeline/task.ts';
import { bytesOfFile } from './bytes.ts';
import { giveBackPageBuffer, takePageBuffer, windowBytes } from './page-buffers.ts';
import { PageReader, type BadBlock, type PageRules } from './page-reader.ts';
import { StampsWriter } from './stamps.ts';
import { openToRead } from './store-task.ts';

export interface PartInput {
  readonly dataDirectory: string;
  readonly path: string;
  readonly rules: PageRules;
  /** Of which bytes of the file; a multiple of a window. */
  readonly from: number;
  readonly to: number;
}

/** A part of a relation's segment: 48 bytes for each 128 KiB, and 8 for each page. */
export interface StoredPart {
  /** Bytes; less than was asked for where the file ended. */
  readonly length: number;
  /** Rows of a map. */
  readonly extents: Uint8Array;
  readonly stamps: Uint8Array;
  readonly bad: readonly BadBlock[];
  readonly badCount: number;
  readonly mtimeNs: bigint;
  readonly inode: string;
  readonly mode: number;
}

/** Null when the file is gone. */
export const partModule: TaskModule<PartInput, StoredPart | null> = {
  url: siblingModule(import.meta.url, './part-task.ts'),
  exportName: 'storePart',
};

const pieceBytes = 128 * 1024;

/** Stores a part of a large segment that nothing is taken over for, so that several can be stored at once. */
export async function storePart(input: PartInput, context: TaskContext): Promise<StoredPart | null> {
  const { dataDirectory, path, rules, from, to } = input;
  const handle = openToRead(dataDirectory, path);
  if (handle === undefined) return null;
  const buffer = takePageBuffer(rules.pageBytes);
  try {
    const { mtimeNs, ino, mode } = fstatSync(handle, { bigint: true });
    const reader = new PageReader(bytesOfFile(handle), { ...rules, parentStart: null }, buffer);
    const map = context.openMap();
    const extents: Buffer[] = [];
    const stamps: Buffer[] = [];
    let length = 0;
    while (from + length < to) {
      const window = await reader.window(from + length, to, Buffer.alloc(0), context.signal);
      const { bytes } = window;
      for (let at = 0; at < bytes.length; at += pieceBytes) {
        const piece = bytes.subarray(at, at + pieceBytes);
        extents.push(extentRow({ id: await map.blob(piece), offset: 0, length: piece.length }));
      }
      stamps.push(window.stamps);
      length += bytes.length;
      context.progress(bytes.length);
      await setImmediate(); // So that an abort is heard.
      context.signal.throwIfAborted();
      if (bytes.length < windowBytes) break; // It ends here.
    }
    await map.store();
    const { bad, badCount } = reader;
    const stats = { mtimeNs, inode: String(ino), mode: Number(mode & 0o7777n) };
    return {
      length,
      extents: Buffer.concat(extents),
      stamps: Buffer.concat(stamps),
      bad,
      badCount,
      ...stats,
    };
  } finally {
    giveBackPageBuffer(buffer);
    closeSync(handle);
  }
}

export interface AssembleInput {
  readonly extents: readonly Uint8Array[];
  readonly stamps: readonly Uint8Array[];
}

export const assembleModule: TaskModule<
  AssembleInput,
  { readonly stream: StreamRef; readonly stamps: StreamRef }
> = {
  url: siblingModule(import.meta.url, './part-task.ts'),
  exportName: 'assembleParts',
};

/** Makes the maps of a segment whose parts are stored. */
export async function assembleParts(
  input: AssembleInput,
  context: TaskContext,
): Promise<{ readonly stream: StreamRef; readonly stamps: StreamRef }> {
  const map = context.openMap();
  for (const rows of input.extents) {
    context.signal.throwIfAborted();
    if (rows.length > 0) for (const extent of readExtents(rows)) await map.extent(extent);
  }
  const stamps = new StampsWriter(context.openMap(), context.stored, null);
  for (const part of input.stamps) await stamps.add(Buffer.from(part), Buffer.alloc(0));
  return { stream: await map.finish(), stamps: await stamps.finish() };
}
