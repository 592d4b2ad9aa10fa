import { closeSync, fstatSync } from 'node:fs';
import { setImmediate } from 'node:timers/promises';
import type { StreamRef } from '../../../contract/stream.ts';
import { isFailure } from '../../../kernel/errors/failure.ts';
import { siblingModule } from '../../../kernel/module-url.ts';
import { ExtentCursor, keyOf, type StoredExtent } from '../../../pipeline/extent-cursor.ts';
import type { StoredData } from '../../../pipeline/stored.ts';
import type { TaskContext, TaskModule } from '../../../pipeline/task.ts';
import { giveBackPageBuffer, takePageBuffer } from './page-buffers.ts';
import { bytesOfFile, readFully } from './bytes.ts';
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

/** Compares pages that look unchanged, byte for byte, with what the parent has. */
export async function guardFiles(input: GuardInput, context: TaskContext): Promise<GuardOutput> {
  let pages = 0;
  for (const file of input.files) {
    const handle = openToRead(input.dataDirectory, file.path);
    if (handle === undefined) continue;
    try {
      const result = await new FileGuard(handle, file, input.pageBytes, context).run();
      pages += result.pages;
      if (result.mismatch !== null) return { pages, mismatch: result.mismatch };
    } finally {
      closeSync(handle);
    }
  }
  return { pages, mismatch: null };
}

/** What was read of a piece, and which of its pages are called unchanged. */
interface Looked {
  readonly bytes: Buffer;
  readonly isUnchanged: (page: number) => boolean;
}

/** A page that is read while it is written is whole a moment later. */
const attempts = 3;

class FileGuard {
  readonly #handle: number;
  readonly #file: FileToGuard;
  readonly #pageBytes: number;
  readonly #context: TaskContext;
  readonly #extents: ExtentCursor;
  readonly #stamps: StoredReader;
  #at = 0;

  constructor(handle: number, file: FileToGuard, pageBytes: number, context: TaskContext) {
    this.#handle = handle;
    this.#file = file;
    this.#pageBytes = pageBytes;
    this.#context = context;
    this.#extents = new ExtentCursor(context.stored, file.stream);
    this.#stamps = new StoredReader(context.stored, file.stamps);
  }

  async run(): Promise<GuardOutput> {
    let pages = 0;
    for (const piece of this.#file.pieces) {
      await setImmediate();
      this.#context.signal.throwIfAborted();
      const result = await this.#piece(piece * guardPieceBytes);
      if (result === 'damaged')
        return { pages, mismatch: { path: this.#file.path, block: this.#block(piece, 0) } };
      pages += result.compared;
      if (result.differs !== null)
        return { pages, mismatch: { path: this.#file.path, block: this.#block(piece, result.differs) } };
    }
    await this.#extents.close();
    await this.#stamps.close();
    return { pages, mismatch: null };
  }

  #block(piece: number, page: number): number {
    return (this.#file.pages?.firstBlock ?? 0) + (piece * guardPieceBytes) / this.#pageBytes + page;
  }

  async #piece(at: number): Promise<{ compared: number; differs: number | null } | 'damaged'> {
    const pages = guardPieceBytes / this.#pageBytes;
    await this.#extents.take(at - this.#at);
    await this.#stamps.read(((at - this.#at) / this.#pageBytes) * stampBytes);
    const extents = await this.#extents.take(guardPieceBytes);
    const stamps = await this.#stamps.read(pages * stampBytes);
    this.#at = at + guardPieceBytes;
    let before: Buffer;
    try {
      before = await storedBytes(extents, this.#context.stored);
    } catch (error) {
      if (isFailure(error) && (error.kind === 'integrity' || error.kind === 'not_found')) return 'damaged';
      throw error;
    }
    for (let attempt = 1; ; attempt += 1) {
      const result = this.#compare(await this.#look(at, stamps), before);
      if (result.differs === null || attempt === attempts) return result;
    }
  }

  #compare({ bytes, isUnchanged }: Looked, before: Buffer): { compared: number; differs: number | null } {
    let compared = 0;
    for (let at = 0; at < Math.min(bytes.length, before.length); at += this.#pageBytes) {
      const page = at / this.#pageBytes;
      if (!isUnchanged(page)) continue;
      const end = at + this.#pageBytes;
      compared += 1;
      if (!bytes.subarray(at, end).equals(before.subarray(at, end))) return { compared, differs: page };
    }
    return { compared, differs: null };
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
