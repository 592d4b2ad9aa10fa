import { setImmediate } from 'node:timers/promises';
import type { StreamRef } from '../../../contract/stream.ts';
import { extentRow, readExtents, type Extent } from '../../../pipeline/map.ts';
import { PageMapWriter } from '../../../pipeline/page-map.ts';
import type { StoredData } from '../../../pipeline/stored.ts';
import type { MapWriter, TaskContext } from '../../../pipeline/task.ts';
import type { FileBytes } from './bytes.ts';
import { giveBackPageBuffer, takePageBuffer, windowBytes } from './page-buffers.ts';
import { PageReader, type BadBlock, type PageRules } from './page-reader.ts';
import { stampBytes } from './stamps.ts';
import { piecesOf, storePiece, type PieceWatch } from './store-task.ts';

/** What the parent has of a stretch of a relation: rows of a map, and stamps. */
export interface EarlierStretch {
  readonly extents: Uint8Array;
  readonly stamps: Uint8Array;
}

export interface Stretch {
  readonly bytes: FileBytes;
  /** Of which bytes; `from` is a multiple of a window. */
  readonly from: number;
  readonly to: number;
  /** `firstBlock`: of the file. */
  readonly rules: PageRules;
  readonly before: EarlierStretch | null;
}

/** Pages that are stored: 40 bytes for each extent, and 8 for each page. */
export interface StoredPages {
  /** Bytes; less than was asked for where the file ended. */
  readonly length: number;
  /** Rows of a map. */
  readonly extents: Uint8Array;
  readonly stamps: Uint8Array;
  readonly pagesChanged: number;
  readonly bad: readonly BadBlock[];
  readonly badCount: number;
}

/**
 * Stores a stretch of a large relation over what the parent has of it, so that several can be stored at once. The stream
 * that it is a part of is made when all of them are stored.
 */
export async function storePages(
  stretch: Stretch,
  context: TaskContext,
  watch?: PieceWatch,
): Promise<StoredPages> {
  const { bytes, from, to, before } = stretch;
  const { pageBytes } = stretch.rules;
  // Without the parent's pages nothing is compared.
  const rules = before === null ? { ...stretch.rules, parentStart: null } : stretch.rules;
  const stored = storedWith(before, context.stored);
  const collected = new CollectedMap(context.openMap());
  const previous = before === null ? null : standIn;
  const pages = new PageMapWriter({ map: collected, stored, previous, pageBytes });
  const oldStamps = Buffer.from(before?.stamps ?? []);
  const stamps: Buffer[] = [];
  let [length, pagesChanged] = [0, 0];
  const buffer = takePageBuffer(pageBytes);
  try {
    const reader = new PageReader(bytes, rules, buffer);
    while (from + length < to) {
      const at = (length / pageBytes) * stampBytes;
      const old = oldStamps.subarray(at, at + (windowBytes / pageBytes) * stampBytes);
      const window = await reader.window(from + length, to, old, context.signal);
      for (const { piece, flags } of piecesOf(window, pageBytes, pages.pieceBytes)) {
        await watch?.see(piece, flags, reader.bad);
        pagesChanged += await storePiece(piece, flags, pages);
      }
      stamps.push(window.stamps);
      length += window.bytes.length;
      context.progress(window.bytes.length);
      await setImmediate(); // So that an abort is heard.
      context.signal.throwIfAborted();
      if (window.bytes.length < windowBytes) break; // It ends here.
    }
    await pages.finish();
    const { bad, badCount } = reader;
    return {
      length,
      extents: collected.rows(),
      stamps: Buffer.concat(stamps),
      pagesChanged,
      bad,
      badCount,
    };
  } finally {
    giveBackPageBuffer(buffer);
  }
}

/** As a stream it stands for the part of the earlier version that is at hand. */
export const standIn: StreamRef = { root: null, depth: 0, size_bytes: 0 };

/** What is stored, with the earlier version of the stretch in place of `standIn`. */
export function storedWith(before: EarlierStretch | null, stored: StoredData): StoredData {
  if (before === null) return stored;
  const rows = before.extents;
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
