import { setImmediate } from 'node:timers/promises';
import type { StreamRef } from '../../../../contract/stream.ts';
import { isFailure } from '../../../../kernel/errors/failure.ts';
import { siblingModule } from '../../../../kernel/module-url.ts';
import { extentRow, mapRecordBytes, readExtents, type Extent } from '../../../../pipeline/map.ts';
import { PageMapWriter } from '../../../../pipeline/page-map.ts';
import type { StoredData } from '../../../../pipeline/stored.ts';
import type { MapWriter, TaskContext, TaskModule } from '../../../../pipeline/task.ts';
import { bytesAtHand } from '../bytes.ts';
import { giveBackPageBuffer, takePageBuffer, windowBytes } from '../page-buffers.ts';
import { PageReader, type BadBlock, type PageRules } from '../page-reader.ts';
import { stampBytes } from '../stamps.ts';
import { piecesOf, storePiece } from '../store-task.ts';
import { Sample, type Compared } from './sample.ts';

export interface StretchInput {
  readonly memory: SharedArrayBuffer;
  /** Bytes in it. */
  readonly length: number;
  /** Null for a file that has no pages to tell apart. `firstBlock`: of the stretch. */
  readonly rules: PageRules | null;
  /** What the parent has at the same place: rows of a map, and stamps. */
  readonly before: { readonly extents: Uint8Array; readonly stamps: Uint8Array } | null;
  /** Numbers of pieces within the stretch. */
  readonly sample: readonly number[];
}

/** A stretch of a large file whose bytes are stored: 40 bytes for each extent, and 8 for each page. */
export interface StoredStretch {
  /** Rows of a map. */
  readonly extents: Uint8Array;
  readonly stamps: Uint8Array;
  readonly pages: number;
  readonly pagesChanged: number;
  readonly bad: readonly BadBlock[];
  readonly badCount: number;
  readonly compared: Compared;
}

export const stretchModule: TaskModule<StretchInput, StoredStretch> = {
  url: siblingModule(import.meta.url, './stretch-task.ts'),
  exportName: 'storeStretch',
};

const pieceBytes = 128 * 1024;
const nothingCompared: Compared = { pages: 0, mismatch: null };

/** Stores a stretch of a large file. What it becomes a part of is made when all of them are stored. */
export async function storeStretch(input: StretchInput, context: TaskContext): Promise<StoredStretch> {
  const { rules } = input;
  return rules === null ? await storePlain(input, context) : await storePages(input, rules, context);
}

async function storePlain({ memory, length }: StretchInput, context: TaskContext): Promise<StoredStretch> {
  const map = context.openMap();
  const extents: Buffer[] = [];
  for (let at = 0; at < length; at += pieceBytes) {
    context.signal.throwIfAborted();
    // Out of the shared memory, which not every function takes.
    const piece = Uint8Array.from(new Uint8Array(memory, at, Math.min(pieceBytes, length - at)));
    extents.push(extentRow({ id: await map.blob(piece), offset: 0, length: piece.length }));
    context.progress(piece.length);
  }
  await map.store();
  const none = { pages: 0, pagesChanged: 0, bad: [], badCount: 0, compared: nothingCompared };
  return { extents: Buffer.concat(extents), stamps: new Uint8Array(0), ...none };
}

async function storePages(
  input: StretchInput,
  rules: PageRules,
  context: TaskContext,
): Promise<StoredStretch> {
  const { memory, length, before } = input;
  const { pageBytes } = rules;
  const stored = before === null ? context.stored : sliceOf(before.extents, context.stored);
  const previous = before === null ? null : standIn;
  const collected = new CollectedMap(context.openMap());
  const pages = new PageMapWriter({ map: collected, stored, previous, pageBytes });
  const sample = sampleFor(input, rules, stored);
  const oldStamps = Buffer.from(before?.stamps ?? []);
  const stamps: Buffer[] = [];
  let pagesChanged = 0;
  const buffer = takePageBuffer(pageBytes);
  try {
    const reader = new PageReader(bytesAtHand(new Uint8Array(memory, 0, length)), rules, buffer);
    for (let at = 0; at < length; at += windowBytes) {
      const from = (at / pageBytes) * stampBytes;
      const old = oldStamps.subarray(from, from + (windowBytes / pageBytes) * stampBytes);
      const window = await reader.window(at, length, old, context.signal);
      for (const { piece, flags } of piecesOf(window, pageBytes, pages.pieceBytes)) {
        await sample?.see(piece, flags, reader.bad);
        pagesChanged += await storePiece(piece, flags, pages);
      }
      stamps.push(window.stamps);
      context.progress(window.bytes.length);
      await setImmediate(); // So that an abort is heard.
      context.signal.throwIfAborted();
    }
    await pages.finish();
    await sample?.close();
    return {
      extents: collected.rows(),
      stamps: Buffer.concat(stamps),
      pages: Math.ceil(length / pageBytes),
      pagesChanged,
      bad: reader.bad,
      badCount: reader.badCount,
      compared: sample?.result ?? nothingCompared,
    };
  } finally {
    giveBackPageBuffer(buffer);
  }
}

function sampleFor(
  { before, sample }: StretchInput,
  { pageBytes, firstBlock }: PageRules,
  stored: StoredData,
): Sample | undefined {
  if (before === null || sample.length === 0) return undefined;
  return new Sample({ pageBytes, firstBlock, pieces: sample, stream: standIn }, stored);
}

/** Stands for the part of the earlier version that is at hand. */
const standIn: StreamRef = { root: null, depth: 0, size_bytes: 0 };

/** What is stored, with the earlier version of the stretch in place of `standIn`. */
function sliceOf(rows: Uint8Array, stored: StoredData): StoredData {
  return {
    present: (ids) => stored.present(ids),
    bytes: (stream) => stored.bytes(stream),
    extents: async function* () {
      if (rows.length > 0) yield readExtents(rows);
    },
  };
}

/** Stores blobs, and keeps the extents for the file that the stretch is a part of. */
class CollectedMap implements MapWriter {
  readonly #map: MapWriter;
  readonly #rows: Buffer[] = [];

  constructor(map: MapWriter) {
    this.#map = map;
  }

  rows(): Uint8Array {
    return Buffer.concat(this.#rows);
  }

  blob(raw: Uint8Array): Promise<Uint8Array> {
    return this.#map.blob(raw);
  }

  async extent(extent: Extent): Promise<void> {
    this.#rows.push(extentRow(extent));
  }

  async store(): Promise<void> {
    await this.#map.store();
  }

  async finish(): Promise<StreamRef> {
    await this.#map.store();
    return standIn;
  }
}

export interface EarlierInput {
  readonly stream: StreamRef;
  readonly stamps: StreamRef;
}

/** What the parent has of a large relation: rows of a map, and stamps. Null when they cannot be read any more. */
export const earlierModule: TaskModule<
  EarlierInput,
  { readonly extents: Uint8Array; readonly stamps: Uint8Array } | null
> = {
  url: siblingModule(import.meta.url, './stretch-task.ts'),
  exportName: 'readEarlier',
};

export async function readEarlier(
  { stream, stamps }: EarlierInput,
  { stored }: TaskContext,
): Promise<{ readonly extents: Uint8Array; readonly stamps: Uint8Array } | null> {
  try {
    const rows: Buffer[] = [];
    for await (const extents of stored.extents(stream)) {
      const batch = Buffer.alloc(extents.length * mapRecordBytes);
      for (const [index, extent] of extents.entries()) extentRow(extent).copy(batch, index * mapRecordBytes);
      rows.push(batch);
    }
    return {
      extents: Buffer.concat(rows),
      stamps: Buffer.concat(await Array.fromAsync(stored.bytes(stamps))),
    };
  } catch (error) {
    if (isFailure(error) && (error.kind === 'integrity' || error.kind === 'not_found')) return null;
    throw error;
  }
}
