import { closeSync, fstatSync } from 'node:fs';
import { setImmediate } from 'node:timers/promises';
import type { StreamRef } from '../../../contract/stream.ts';
import { siblingModule } from '../../../kernel/module-url.ts';
import { ExtentCursor, keyOf, type StoredExtent } from '../../../pipeline/extent-cursor.ts';
import type { StoredData } from '../../../pipeline/stored.ts';
import type { TaskContext, TaskModule } from '../../../pipeline/task.ts';
import { giveBackPageBuffer, takePageBuffer } from './page-buffers.ts';
import { bytesOfFile, readFully } from './bytes.ts';
import { isLost } from './lost.ts';
import { PageReader, type PageRules } from './page-reader.ts';
import { stampBytes } from './stamps.ts';
import { StoredReader } from '../../../pipeline/stored-reader.ts';
import { openToRead } from './store-task.ts';

/** Of which a sample is compared. */
export const guardPieceBytes = 128 * 1024;

export interface FileToGuard {
  readonly path: string;
  /** Null for a file that has no pages to tell apart. */
  readonly pages: PageRules | null;
  /** Set where the whole file would be kept unread; as it was when that was decided. */
  readonly untouched: { readonly mtimeNs: bigint; readonly inode: string } | null;
  readonly stream: StreamRef;
  readonly stamps: StreamRef | null;
  /** Ascending numbers of pieces. */
  readonly pieces: readonly number[];
}

export interface GuardInput {
  readonly dataDirectory: string;
  readonly pageBytes: number;
  readonly files: readonly FileToGuard[];
}

export interface GuardOutput {
  /** Compared. */
  readonly pages: number;
  /** The first page that differs although it looks unchanged. */
  readonly mismatch: { readonly path: string; readonly block: number } | null;
}

export const guardModule: TaskModule<GuardInput, GuardOutput> = {
  url: siblingModule(import.meta.url, './guard-task.ts'),
  exportName: 'guardFiles',
};

/** Compares pages that look unchanged with what the parent has: by the hash of a whole piece, else byte for byte. */
export async function guardFiles(input: GuardInput, context: TaskContext): Promise<GuardOutput> {
  const budget = new FetchBudget();
  let pages = 0;
  for (let first = 0; first < input.files.length; first += filesAtOnce) {
    const group = input.files.slice(first, first + filesAtOnce);
    const results = await Promise.all(group.map((file) => guardFile(file, input, budget, context)));
    pages += results.reduce((sum, result) => sum + result.pages, 0);
    const mismatch = results.find((result) => result.mismatch !== null)?.mismatch ?? null;
    if (mismatch !== null) return { pages, mismatch };
  }
  return { pages, mismatch: null };
}

async function guardFile(
  file: FileToGuard,
  { dataDirectory, pageBytes }: GuardInput,
  budget: FetchBudget,
  context: TaskContext,
): Promise<GuardOutput> {
  const handle = openToRead(dataDirectory, file.path);
  if (handle === undefined) return { pages: 0, mismatch: null };
  try {
    return await new FileGuard(handle, file, pageBytes, budget, context).run();
  } finally {
    closeSync(handle);
  }
}

/** A piece, and what the parent has of it. */
interface Taken {
  readonly piece: number;
  readonly extents: readonly StoredExtent[];
  readonly stamps: Buffer;
}

interface Judgement {
  readonly piece: number;
  /** Pages. */
  readonly compared: number;
  /** The first page of the piece that is not as the parent has it; 0 as well when that is damaged. */
  readonly differs: number | undefined;
}

/** What was read of a piece, and which of its pages are called unchanged. */
interface Looked {
  readonly bytes: Buffer;
  readonly isUnchanged: (page: number) => boolean;
}

/** A page that is read while it is written is whole a moment later. */
const attempts = 3;
const piecesAtOnce = 8;
const filesAtOnce = 8;
/**
 * Of pieces that lie in several blobs, or of which some pages changed, so many are fetched by a task. To compare the
 * others is to hash them.
 */
const mostFetched = 8;

/** Pieces that a task may still fetch. */
class FetchBudget {
  #left = mostFetched;

  take(): boolean {
    this.#left -= 1;
    return this.#left >= 0;
  }
}

class FileGuard {
  readonly #handle: number;
  readonly #file: FileToGuard;
  readonly #pageBytes: number;
  readonly #budget: FetchBudget;
  readonly #context: TaskContext;
  readonly #extents: ExtentCursor;
  readonly #stamps: StoredReader;
  #at = 0;

  constructor(
    handle: number,
    file: FileToGuard,
    pageBytes: number,
    budget: FetchBudget,
    context: TaskContext,
  ) {
    this.#handle = handle;
    this.#budget = budget;
    this.#file = file;
    this.#pageBytes = pageBytes;
    this.#context = context;
    this.#extents = new ExtentCursor(context.stored, file.stream);
    // Where nothing is read nothing tells pages apart.
    this.#stamps = new StoredReader(context.stored, file.untouched === null ? file.stamps : null);
  }

  /** Several pieces at once: most of the time is spent waiting for what is stored. */
  async run(): Promise<GuardOutput> {
    const underWay: Promise<Judgement>[] = [];
    const judgements: Judgement[] = [];
    try {
      for (const piece of this.#file.pieces) {
        await setImmediate();
        this.#context.signal.throwIfAborted();
        const taken = await this.#take(piece);
        if (taken === 'damaged') {
          judgements.push({ piece, compared: 0, differs: 0 });
          break;
        }
        const judging = this.#judge(taken);
        judging.catch(() => undefined); // Thrown when it is its turn.
        underWay.push(judging);
        if (underWay.length >= piecesAtOnce) judgements.push(await (underWay.shift() ?? judging));
        if (judgements.at(-1)?.differs !== undefined) break;
      }
      judgements.push(...(await Promise.all(underWay)));
    } finally {
      await Promise.allSettled(underWay);
      await this.#extents.close();
      await this.#stamps.close();
    }
    const pages = judgements.reduce((sum, { compared }) => sum + compared, 0);
    const differing = judgements.find(({ differs }) => differs !== undefined);
    if (differing?.differs === undefined) return { pages, mismatch: null };
    const block = this.#block(differing.piece, differing.differs);
    return { pages, mismatch: { path: this.#file.path, block } };
  }

  #block(piece: number, page: number): number {
    return (this.#file.pages?.firstBlock ?? 0) + (piece * guardPieceBytes) / this.#pageBytes + page;
  }

  /** What the parent has of a piece. In ascending order; nothing any more behind what is damaged. */
  async #take(piece: number): Promise<Taken | 'damaged'> {
    try {
      return await this.#takeNext(piece);
    } catch (error) {
      if (isLost(error)) return 'damaged';
      throw error;
    }
  }

  async #takeNext(piece: number): Promise<Taken> {
    const at = piece * guardPieceBytes;
    await this.#extents.take(at - this.#at);
    const extents = await this.#extents.take(guardPieceBytes);
    await this.#stamps.read(((at - this.#at) / this.#pageBytes) * stampBytes);
    const stamps = await this.#stamps.read((guardPieceBytes / this.#pageBytes) * stampBytes);
    this.#at = at + guardPieceBytes;
    return { piece, extents, stamps };
  }

  async #judge({ piece, extents, stamps }: Taken): Promise<Judgement> {
    const at = piece * guardPieceBytes;
    let before: Buffer | undefined;
    for (let attempt = 1; ; attempt += 1) {
      const looked = await this.#look(at, stamps);
      const pages = Math.floor(looked.bytes.length / this.#pageBytes);
      const unchanged = Array.from({ length: pages }, (_, page) => page).filter(looked.isUnchanged).length;
      if (unchanged === 0) return { piece, compared: 0, differs: undefined };
      if (isStoredAs(looked.bytes, extents, this.#context))
        return { piece, compared: unchanged, differs: undefined };
      const isOneBlob = extents.length === 1 && unchanged === pages;
      if (before === undefined && !isOneBlob && !this.#budget.take())
        return { piece, compared: 0, differs: undefined };
      try {
        before ??= await storedBytes(extents, this.#context.stored);
      } catch (error) {
        if (isLost(error)) return { piece, compared: 0, differs: 0 };
        throw error;
      }
      const result = this.#compare(looked, before);
      if (result.differs === undefined || attempt === attempts) return { piece, ...result };
    }
  }

  #compare({ bytes, isUnchanged }: Looked, before: Buffer): Omit<Judgement, 'piece'> {
    let compared = 0;
    for (let at = 0; at < Math.min(bytes.length, before.length); at += this.#pageBytes) {
      const page = at / this.#pageBytes;
      if (!isUnchanged(page)) continue;
      const end = at + this.#pageBytes;
      compared += 1;
      if (!bytes.subarray(at, end).equals(before.subarray(at, end))) return { compared, differs: page };
    }
    return { compared, differs: undefined };
  }

  async #look(at: number, stamps: Buffer): Promise<Looked> {
    const { pages, untouched } = this.#file;
    if (untouched !== null) {
      const buffer = Buffer.alloc(guardPieceBytes);
      const bytes = buffer.subarray(0, readFully(this.#handle, buffer, at));
      const { mtimeNs, ino } = fstatSync(this.#handle, { bigint: true });
      const isStill = mtimeNs === untouched.mtimeNs && String(ino) === untouched.inode;
      return { bytes, isUnchanged: () => isStill };
    }
    if (pages === null) return { bytes: Buffer.alloc(0), isUnchanged: () => false };
    const buffer = takePageBuffer(this.#pageBytes);
    try {
      const reader = new PageReader(bytesOfFile(this.#handle), pages, buffer);
      const window = await reader.window(at, at + guardPieceBytes, stamps, this.#context.signal);
      const first = pages.firstBlock + at / this.#pageBytes;
      const bad = new Set(reader.bad.map(({ block }) => block - first));
      // A page that went bad is told of when it is read for the backup.
      return {
        bytes: Buffer.from(window.bytes),
        isUnchanged: (page) => window.changed[page] === 0 && !bad.has(page),
      };
    } finally {
      giveBackPageBuffer(buffer);
    }
  }
}

/** Whether these bytes are, as a whole, the blob that is stored: seen by its id, without fetching it. */
export function isStoredAs(
  bytes: Uint8Array,
  extents: readonly StoredExtent[],
  context: Pick<TaskContext, 'idOf'>,
): boolean {
  const [extent] = extents;
  if (extent === undefined || extents.length > 1 || extent.offset > 0) return false;
  return extent.length === bytes.length && Buffer.compare(context.idOf(bytes), extent.id) === 0;
}

/** The bytes of extents; up to the first that is no longer stored, for what is not must be stored again anyway. */
export async function storedBytes(extents: readonly StoredExtent[], stored: StoredData): Promise<Buffer> {
  const there = extents.slice(0, absentFrom(extents));
  const needed = new Map<string, number>();
  for (const { id, offset, length } of there)
    needed.set(keyOf(id), Math.max(needed.get(keyOf(id)) ?? 0, offset + length));
  const blobs = new Map<string, Buffer>();
  for (const [key, length] of needed) {
    // A blob is a stream of one chunk.
    const root = Buffer.from(key, 'latin1').toString('hex');
    const pieces = await Array.fromAsync(stored.bytes({ root, depth: 0, size_bytes: length }));
    blobs.set(key, Buffer.concat(pieces));
  }
  return Buffer.concat(
    there.map(({ id, offset, length }) => {
      const bytes = blobs.get(keyOf(id))?.subarray(offset, offset + length);
      return bytes ?? Buffer.alloc(0);
    }),
  );
}

function absentFrom(extents: readonly StoredExtent[]): number {
  const first = extents.findIndex(({ present }) => !present);
  return first < 0 ? extents.length : first;
}
