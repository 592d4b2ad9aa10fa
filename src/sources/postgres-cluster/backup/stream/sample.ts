import type { StreamRef } from '../../../../contract/stream.ts';
import { ExtentCursor, type StoredExtent } from '../../../../pipeline/extent-cursor.ts';
import type { StoredData } from '../../../../pipeline/stored.ts';
import type { TaskContext } from '../../../../pipeline/task.ts';
import { guardPieceBytes, isStoredAs, storedBytes } from '../guard-task.ts';
import { isLost } from '../lost.ts';
import type { BadBlock } from '../page-reader.ts';
import type { PieceWatch } from '../store-task.ts';

export interface Compared {
  /** Pages that look unchanged and were compared with what is stored. */
  readonly pages: number;
  /** The first of them that is not what is stored: the number of its block. */
  readonly mismatch: number | null;
}

export interface SampledFile {
  readonly pageBytes: number;
  /** Number of the first page that is seen, within its relation. */
  readonly firstBlock: number;
  /** Numbers of pieces, counted from where the earlier version begins. */
  readonly pieces: readonly number[];
  readonly stream: StreamRef;
}

/** Compares a sample of the pages that look unchanged with what the parent has: by hash, else byte for byte. */
export class Sample implements PieceWatch {
  readonly #file: SampledFile;
  readonly #stored: StoredData;
  readonly #context: Pick<TaskContext, 'idOf'>;
  readonly #extents: ExtentCursor;
  readonly #chosen: Set<number>;
  #piece = 0;
  /** How far the extents were taken. */
  #at = 0;
  #pages = 0;
  #mismatch: number | null = null;

  constructor(file: SampledFile, stored: StoredData, context: Pick<TaskContext, 'idOf'>) {
    this.#file = file;
    this.#stored = stored;
    this.#context = context;
    this.#extents = new ExtentCursor(stored, file.stream);
    this.#chosen = new Set(file.pieces);
  }

  get result(): Compared {
    return { pages: this.#pages, mismatch: this.#mismatch };
  }

  async see(piece: Uint8Array, changed: Uint8Array, bad: readonly BadBlock[]): Promise<void> {
    const number = this.#piece;
    this.#piece += 1;
    if (!this.#chosen.has(number) || this.#mismatch !== null || !changed.includes(0)) return;
    const at = number * guardPieceBytes;
    const { pageBytes, firstBlock } = this.#file;
    const first = firstBlock + at / pageBytes;
    const extents = await this.#take(at);
    if (extents === 'damaged') {
      this.#mismatch = first;
      return;
    }
    const badOnes = new Set(bad.map(({ block }) => block - first));
    if (isStoredAs(piece, extents, this.#context)) {
      this.#pages += changed.length - badOnes.size;
      return;
    }
    const before = await this.#before(extents);
    if (before === 'damaged') {
      this.#mismatch = first;
      return;
    }
    for (let from = 0; from < Math.min(piece.length, before.length); from += pageBytes) {
      const page = from / pageBytes;
      if (changed[page] !== 0 || badOnes.has(page)) continue;
      this.#pages += 1;
      const is = piece.subarray(from, from + pageBytes);
      if (before.subarray(from, from + pageBytes).equals(is)) continue;
      this.#mismatch = first + page;
      return;
    }
  }

  async close(): Promise<void> {
    await this.#extents.close();
  }

  /** Nothing any more behind what is damaged. */
  async #take(at: number): Promise<StoredExtent[] | 'damaged'> {
    try {
      await this.#extents.take(at - this.#at);
      this.#at = at + guardPieceBytes;
      return await this.#extents.take(guardPieceBytes);
    } catch (error) {
      if (isLost(error)) return 'damaged';
      throw error;
    }
  }

  async #before(extents: readonly StoredExtent[]): Promise<Buffer | 'damaged'> {
    try {
      return await storedBytes(extents, this.#stored);
    } catch (error) {
      if (isLost(error)) return 'damaged';
      throw error;
    }
  }
}
