import type { StreamRef } from '../contract/stream.ts';
import { ExtentCursor, keyOf, type StoredExtent } from './extent-cursor.ts';
import { PatchQueue } from './patch-queue.ts';
import type { StoredData } from './stored.ts';
import type { MapWriter } from './task.ts';

/** A file is taken piece by piece; a new piece is one blob, unless its pages are larger. */
const usualPieceBytes = 128 * 1024;
/** A piece may lie in so many blobs at least, and at most, before it is written anew. */
const fewestBlobs = 4;
const mostBlobs = 32;

export interface PageMapOptions {
  readonly map: MapWriter;
  readonly stored: StoredData;
  /** An earlier version of the file; null when there is none. */
  readonly previous: StreamRef | null;
  /** At least 1; the last page of a file may be shorter. */
  readonly pageBytes: number;
}

/**
 * Writes the map of a file of pages over that of an earlier version, so that what is stored are the pages that changed.
 *
 * The file comes in pieces of {@link PageMapWriter.pieceBytes}, in order, only the last of which may be shorter. Changed
 * pages of many pieces are gathered into one blob. A piece that has come to lie in too many blobs is written anew as
 * one: pages scattered over many blobs make restores slow. At which number differs from piece to piece, so that pieces
 * that always change together are not all written anew by the same backup.
 */
export class PageMapWriter {
  readonly pieceBytes: number;
  readonly #options: PageMapOptions;
  readonly #previous: ExtentCursor;
  readonly #patches: PatchQueue;
  #pieces = 0;
  #peeked: { readonly lengthBytes: number; readonly extents: readonly StoredExtent[] } | undefined;

  constructor(options: PageMapOptions) {
    const { pageBytes, map, stored, previous } = options;
    if (!Number.isInteger(pageBytes) || pageBytes < 1 || pageBytes > 4 * 1024 * 1024)
      throw new RangeError(`pages of ${pageBytes} bytes`);
    this.#options = options;
    this.pieceBytes = Math.max(pageBytes, usualPieceBytes - (usualPieceBytes % pageBytes));
    this.#previous = new ExtentCursor(stored, previous);
    this.#patches = new PatchQueue(map, this.pieceBytes);
  }

  /**
   * Takes the next piece over as it was, without its bytes. False, and nothing is done, when the earlier version does
   * not have it whole or some of it is no longer stored: then it must be given to {@link add}.
   */
  async keep(lengthBytes: number): Promise<boolean> {
    const before = await this.#peek(lengthBytes);
    if (!before.every(({ present }) => present) || lengthOf(before) !== lengthBytes) return false;
    this.#peeked = undefined;
    this.#pieces += 1;
    for (const extent of before) await this.#patches.extent(extent);
    return true;
  }

  /**
   * The next piece. `changed` has for each of its pages whether it differs from the earlier version at the same place:
   * 1 or 0. The bytes are copied before this resolves.
   */
  async add(bytes: Uint8Array, changed: Uint8Array): Promise<void> {
    const before = await this.#peek(bytes.length);
    this.#peeked = undefined;
    const runs = this.#runs(bytes.length, changed, before);
    this.#pieces += 1;
    if (this.#mustWriteAnew(runs, bytes.length)) {
      const id = await this.#options.map.blob(bytes);
      await this.#patches.extent({ id, offset: 0, length: bytes.length });
      return;
    }
    let at = 0;
    for (const run of runs) {
      if ('id' in run) await this.#patches.extent(run);
      else await this.#patches.patch(bytes.subarray(at, at + run.length));
      at += run.length;
    }
  }

  /** Ends the file. Its blobs are durable only once the session that owns them has committed. */
  async finish(): Promise<StreamRef> {
    await this.#previous.close();
    await this.#patches.end();
    return await this.#options.map.finish();
  }

  async #peek(lengthBytes: number): Promise<readonly StoredExtent[]> {
    if (this.#peeked === undefined) {
      const extents = await this.#previous.take(lengthBytes);
      this.#peeked = { lengthBytes, extents };
    }
    if (this.#peeked.lengthBytes !== lengthBytes) throw new Error('a piece that changed its length');
    return this.#peeked.extents;
  }

  /** The piece as runs of pages: kept ones, with where they lie, and such as must be stored, without. */
  #runs(lengthBytes: number, changed: Uint8Array, before: readonly StoredExtent[]): readonly Run[] {
    const { pageBytes } = this.#options;
    const fresh = Uint8Array.from({ length: Math.ceil(lengthBytes / pageBytes) }, (_, page) =>
      changed[page] === 0 ? 0 : 1,
    );
    fresh.fill(1, Math.floor(lengthOf(before) / pageBytes));
    if (lengthOf(before) === lengthBytes) fresh[fresh.length - 1] = changed[fresh.length - 1] === 0 ? 0 : 1;
    let at = 0;
    for (const extent of before) {
      const end = at + extent.length;
      if (!extent.present) fresh.fill(1, Math.floor(at / pageBytes), Math.ceil(end / pageBytes));
      at = end;
    }
    return cut(lengthBytes, pageBytes, fresh, before);
  }

  #mustWriteAnew(runs: readonly Run[], lengthBytes: number): boolean {
    const blobs = new Set<string>();
    let freshBytes = 0;
    for (const run of runs) {
      if ('id' in run) blobs.add(keyOf(run.id));
      else freshBytes += run.length;
    }
    if (freshBytes === 0) return false;
    const pages = Math.ceil(lengthBytes / this.#options.pageBytes);
    const limit = Math.min(mostBlobs, Math.max(fewestBlobs, pages / 2));
    // Spread by the golden ratio, which puts neighbours far from each other, over the last quarter below the limit.
    const spread = ((this.#pieces * 0.618_034) % 1) * (limit / 4);
    return freshBytes * 4 >= lengthBytes * 3 || blobs.size + 1 > limit - spread;
  }
}

type Run = StoredExtent | { readonly length: number };

function lengthOf(extents: readonly StoredExtent[]): number {
  return extents.reduce((sum, { length }) => sum + length, 0);
}

/** Cuts a piece where it changes between pages that are stored anew and pages that are kept. */
function cut(
  lengthBytes: number,
  pageBytes: number,
  fresh: Uint8Array,
  before: readonly StoredExtent[],
): readonly Run[] {
  const runs: Run[] = [];
  const rest = before.values();
  let extent: StoredExtent | undefined;
  /** Bytes of the earlier version that come before `extent`. */
  let passed = 0;
  for (let page = 0; page < fresh.length;) {
    const from = page * pageBytes;
    const isFresh = fresh[page] === 1;
    while (page < fresh.length && (fresh[page] === 1) === isFresh) page += 1;
    const to = Math.min(page * pageBytes, lengthBytes);
    if (isFresh) {
      runs.push({ length: to - from });
      continue;
    }
    for (let at = from; at < to;) {
      while (extent === undefined || passed + extent.length <= at) {
        passed += extent?.length ?? 0;
        const next = rest.next();
        if (next.done === true) throw new Error('a kept page that was never there');
        extent = next.value;
      }
      const length = Math.min(to, passed + extent.length) - at;
      runs.push({ ...extent, offset: extent.offset + at - passed, length });
      at += length;
    }
  }
  return runs;
}
