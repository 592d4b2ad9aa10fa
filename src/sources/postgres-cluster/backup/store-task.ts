import { closeSync, constants, fstatSync, openSync } from 'node:fs';
import { setImmediate } from 'node:timers/promises';
import type { StreamRef } from '../../../contract/stream.ts';
import { siblingModule } from '../../../kernel/module-url.ts';
import { PageMapWriter } from '../../../pipeline/page-map.ts';
import type { TaskContext, TaskModule } from '../../../pipeline/task.ts';
import { unreadable } from './directory.ts';
import { giveBackPageBuffer, takePageBuffer, windowBytes } from './page-buffers.ts';
import { bytesOfFile, type FileBytes } from './bytes.ts';
import { PageReader, type BadBlock, type PageRules, type Window } from './page-reader.ts';
import { isLost } from './lost.ts';
import { stampBytes, StampsWriter } from './stamps.ts';
import { StoredReader } from '../../../pipeline/stored-reader.ts';
import { StoreGroup } from './store-group.ts';
import { placeOf } from './walk.ts';

export interface StoreInput {
  readonly dataDirectory: string;
  readonly files: readonly FileToStore[];
}

export interface FileToStore {
  /** In the data directory. */
  readonly path: string;
  /** Null for a file that has no pages to tell apart. */
  readonly pages: PageRules | null;
  /** What the parent has of a relation. */
  readonly previous: { readonly stream: StreamRef; readonly stamps: StreamRef } | null;
}

/** What became of the bytes of a file. */
export interface StoredContent {
  readonly stream: StreamRef;
  /** Of a relation. */
  readonly stamps: StreamRef | null;
  readonly pages: number;
  readonly pagesChanged: number;
  readonly bad: readonly BadBlock[];
  readonly badCount: number;
}

export type StoredFile =
  | (StoredContent & {
      readonly what: 'stored';
      readonly mtimeNs: bigint;
      readonly inode: string;
      readonly mode: number;
    })
  | { readonly what: 'vanished' };

export const storeModule: TaskModule<StoreInput, StoredFile[]> = {
  url: siblingModule(import.meta.url, './store-task.ts'),
  exportName: 'storeFiles',
};

/** A file of at most so many bytes is one chunk. */
const wholeBytes = 128 * 1024;

/** Stores files of the data directory; the results are in their order. `cluster_directory_unreadable`. */
export async function storeFiles(input: StoreInput, context: TaskContext): Promise<StoredFile[]> {
  const group = new StoreGroup(context);
  const results: StoredFile[] = [];
  for (const [index, file] of input.files.entries()) {
    context.signal.throwIfAborted();
    const handle = openToRead(input.dataDirectory, file.path);
    if (handle === undefined) {
      results[index] = { what: 'vanished' };
      continue;
    }
    try {
      const { size, mtimeNs, ino, mode } = fstatSync(handle, { bigint: true });
      // As they were before the reading: what is written meanwhile makes the next backup read it again.
      const stats = { mtimeNs, inode: String(ino), mode: Number(mode & 0o7777n) };
      await new FileStore(file, bytesOfFile(handle), group, context).run(Number(size), (content) => {
        results[index] = { what: 'stored', ...content, ...stats };
      });
    } finally {
      closeSync(handle);
    }
  }
  await group.finish();
  return results;
}

/** Opens a file to read; undefined when it is gone, or something else is in its place. */
export function openToRead(dataDirectory: string, path: string): number | undefined {
  const place = placeOf(dataDirectory, path);
  try {
    return openSync(place, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ENOTDIR' || code === 'ELOOP' || code === 'ENXIO') return undefined;
    throw unreadable(place.toString(), error);
  }
}

type Done = (content: StoredContent) => void;

/** Sees every piece of a relation before it is stored, with the pages that are not the parent's: 1, or 0. */
export interface PieceWatch {
  see(piece: Uint8Array, changed: Uint8Array, bad: readonly BadBlock[]): Promise<void>;
}

/** Stores one file. */
export class FileStore {
  readonly #file: FileToStore;
  readonly #bytes: FileBytes;
  readonly #group: StoreGroup;
  readonly #context: TaskContext;
  readonly #watch: PieceWatch | undefined;

  constructor(
    file: FileToStore,
    bytes: FileBytes,
    group: StoreGroup,
    context: TaskContext,
    watch?: PieceWatch,
  ) {
    this.#file = file;
    this.#bytes = bytes;
    this.#group = group;
    this.#context = context;
    this.#watch = watch;
  }

  /** `done` is called at the latest when the group is finished. */
  async run(size: number, done: Done): Promise<void> {
    const { pages } = this.#file;
    if (pages === null) await this.#plain(size, done);
    else await this.#relation(size, pages, done);
  }

  async #plain(size: number, done: Done): Promise<void> {
    const none = { stamps: null, pages: 0, pagesChanged: 0, bad: [], badCount: 0 };
    if (size <= wholeBytes) {
      const content = Buffer.alloc(size);
      const bytes = content.subarray(0, this.#bytes.read(content, 0));
      this.#context.progress(bytes.length);
      await this.#group.add(bytes, (stream) => done({ stream, ...none }));
      return;
    }
    const writer = this.#context.openStream({ type: 'fixed', sizeBytes: wholeBytes });
    const buffer = Buffer.allocUnsafe(windowBytes);
    for (let at = 0; at < size;) {
      const wanted = buffer.subarray(0, Math.min(buffer.length, size - at));
      const length = this.#bytes.read(wanted, at);
      await writer.write(wanted.subarray(0, length));
      at += length;
      await breathe(length, this.#context);
      if (length < wanted.length) break;
    }
    done({ stream: await writer.finish(), ...none });
  }

  async #relation(size: number, rules: PageRules, done: Done): Promise<void> {
    const { previous } = this.#file;
    const buffer = takePageBuffer(rules.pageBytes);
    const anew = { ...rules, parentStart: null };
    try {
      if (previous === null && size <= wholeBytes) {
        await this.#smallRelation(new PageReader(this.#bytes, anew, buffer), size, done);
        return;
      }
      const store = async (over: typeof previous): Promise<void> => {
        const reader = new PageReader(this.#bytes, over === null ? anew : rules, buffer);
        const watch = over === null ? undefined : this.#watch;
        const relation = new RelationStore(reader, rules.pageBytes, over, this.#context, watch);
        const stored = await relation.store(size);
        const { bad, badCount } = reader;
        done({ ...stored, bad, badCount });
      };
      try {
        await store(previous);
      } catch (error) {
        // The earlier version is damaged or gone: then everything is stored anew.
        if (!isLost(error) || previous === null) throw error;
        await store(null);
      }
    } finally {
      giveBackPageBuffer(buffer);
    }
  }

  async #smallRelation(reader: PageReader, size: number, done: Done): Promise<void> {
    const window = await reader.window(0, size, Buffer.alloc(0), this.#context.signal);
    const { bad, badCount } = reader;
    const pages = window.changed.length;
    this.#context.progress(window.bytes.length);
    let stream: StreamRef | undefined;
    await this.#group.add(Buffer.from(window.bytes), (stored) => (stream = stored));
    await this.#group.add(window.stamps, (stamps) => {
      if (stream === undefined) throw new Error('stamps were stored before their pages');
      done({ stream, stamps, pages, pagesChanged: pages, bad, badCount });
    });
  }
}

/** Stores a segment of a relation over what the parent has of it. */
class RelationStore {
  readonly #reader: PageReader;
  readonly #pageBytes: number;
  readonly #context: TaskContext;
  readonly #pages: PageMapWriter;
  readonly #stamps: StampsWriter;
  readonly #before: StoredReader;
  readonly #watch: PieceWatch | undefined;
  #count = 0;
  #changed = 0;

  constructor(
    reader: PageReader,
    pageBytes: number,
    previous: FileToStore['previous'],
    context: TaskContext,
    watch: PieceWatch | undefined,
  ) {
    const { stored } = context;
    this.#watch = watch;
    this.#reader = reader;
    this.#pageBytes = pageBytes;
    this.#context = context;
    this.#pages = new PageMapWriter({
      map: context.openMap(),
      stored,
      previous: previous?.stream ?? null,
      pageBytes,
    });
    this.#stamps = new StampsWriter(context.openMap(), stored, previous?.stamps ?? null);
    this.#before = new StoredReader(stored, previous?.stamps ?? null);
  }

  async store(
    size: number,
  ): Promise<{ stream: StreamRef; stamps: StreamRef; pages: number; pagesChanged: number }> {
    for (let at = 0; at < size;) {
      const wanted = Math.min(windowBytes, size - at);
      const before = await this.#before.read(Math.ceil(wanted / this.#pageBytes) * stampBytes);
      const window = await this.#reader.window(at, size, before, this.#context.signal);
      await this.#store(window);
      await this.#stamps.add(window.stamps, before);
      at += window.bytes.length;
      await breathe(window.bytes.length, this.#context);
      if (window.bytes.length < wanted) break; // It was cut off meanwhile.
    }
    await this.#before.close();
    return {
      stream: await this.#pages.finish(),
      stamps: await this.#stamps.finish(),
      pages: this.#count,
      pagesChanged: this.#changed,
    };
  }

  async #store(window: Window): Promise<void> {
    for (const { piece, flags } of piecesOf(window, this.#pageBytes, this.#pages.pieceBytes)) {
      await this.#watch?.see(piece, flags, this.#reader.bad);
      this.#count += flags.length;
      this.#changed += await storePiece(piece, flags, this.#pages);
    }
  }
}

/** Cuts a window into pieces, each with what is known of its pages. */
export function* piecesOf(
  { bytes, changed }: Window,
  pageBytes: number,
  pieceBytes: number,
): Generator<{ readonly piece: Buffer; readonly flags: Uint8Array }, void, void> {
  for (let at = 0; at < bytes.length; at += pieceBytes) {
    const piece = bytes.subarray(at, Math.min(at + pieceBytes, bytes.length));
    const first = at / pageBytes;
    yield { piece, flags: changed.subarray(first, first + Math.ceil(piece.length / pageBytes)) };
  }
}

/** Gives how many of its pages changed. */
export async function storePiece(piece: Buffer, flags: Uint8Array, pages: PageMapWriter): Promise<number> {
  const count = flags.reduce((sum, flag) => sum + flag, 0);
  if (count > 0 || !(await pages.keep(piece.length))) await pages.add(piece, flags);
  return count;
}

/** Tells of progress, and lets an abort be heard. */
async function breathe(bytes: number, context: TaskContext): Promise<void> {
  context.progress(bytes);
  await setImmediate();
  context.signal.throwIfAborted();
}
