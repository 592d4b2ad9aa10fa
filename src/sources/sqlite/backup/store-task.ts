import { closeSync, fstatSync, openSync } from 'node:fs';
import { setImmediate } from 'node:timers/promises';
import type { StreamRef } from '../../../contract/stream.ts';
import { isFailure } from '../../../kernel/errors/failure.ts';
import { siblingModule } from '../../../kernel/module-url.ts';
import { PageMapWriter } from '../../../pipeline/page-map.ts';
import type { TaskContext, TaskModule } from '../../../pipeline/task.ts';
import { HashMapWriter } from './hash-map.ts';
import { headerBytes, readHeader, type Header } from '../header.ts';
import { firstBytes } from '../look.ts';
import { fileChanged, fill, pageHashes } from '../page-hash.ts';

export interface StoreInput {
  /** A file that does not change, or of which somebody will see whether it did. */
  readonly read: string;
  /** An earlier version. */
  readonly previous: {
    readonly database: StreamRef;
    readonly hashes: StreamRef;
    readonly pageBytes: number;
  } | null;
}

export interface Stored {
  readonly database: StreamRef;
  readonly hashes: StreamRef;
  readonly header: Header;
  readonly pages: number;
  readonly pagesChanged: number;
}

export const storeModule: TaskModule<StoreInput, Stored> = {
  url: siblingModule(import.meta.url, './store-task.ts'),
  exportName: 'storePages',
};

const readBytes = 1024 * 1024;

/** Stores the pages of a database that differ from those of an earlier version, and the map and hashes of all. */
export async function storePages(input: StoreInput, context: TaskContext): Promise<Stored> {
  const header = readHeader(firstBytes(input.read, headerBytes));
  if (header === null) throw new Error(fileChanged);
  const { previous } = input;
  if (previous === null || previous.pageBytes !== header.pageBytes) {
    return await new PageStore(header, null, context).store(input.read);
  }
  try {
    return await new PageStore(header, previous, context).store(input.read);
  } catch (error) {
    // The earlier version is damaged or gone: then everything is stored anew.
    if (!isFailure(error) || (error.kind !== 'integrity' && error.kind !== 'not_found')) throw error;
    return await new PageStore(header, null, context).store(input.read);
  }
}

class PageStore {
  readonly #header: Header;
  readonly #context: TaskContext;
  readonly #pages: PageMapWriter;
  readonly #hashes: HashMapWriter;
  #pagesChanged = 0;

  constructor(header: Header, previous: StoreInput['previous'], context: TaskContext) {
    const { stored } = context;
    this.#header = header;
    this.#context = context;
    this.#pages = new PageMapWriter({
      map: context.openMap(),
      stored,
      previous: previous?.database ?? null,
      pageBytes: header.pageBytes,
    });
    this.#hashes = new HashMapWriter(context.openMap(), stored, previous?.hashes ?? null);
  }

  async store(file: string): Promise<Stored> {
    const handle = openSync(file, 'r');
    try {
      const { size } = fstatSync(handle);
      const { pieceBytes } = this.#pages;
      const buffer = Buffer.allocUnsafe(Math.max(pieceBytes, readBytes - (readBytes % pieceBytes)));
      for (let at = 0; at < size; at += buffer.length) {
        const length = Math.min(buffer.length, size - at);
        fill(handle, buffer.subarray(0, length), at);
        for (let piece = 0; piece < length; piece += pieceBytes)
          await this.#piece(buffer.subarray(piece, Math.min(piece + pieceBytes, length)));
        this.#context.progress(length);
        await setImmediate(); // So that an abort is heard.
        this.#context.signal.throwIfAborted();
      }
      return await this.#finish(size);
    } finally {
      closeSync(handle);
    }
  }

  async #piece(bytes: Uint8Array): Promise<void> {
    const { pageBytes } = this.#header;
    const changed = await this.#hashes.add(pageHashes(bytes, pageBytes));
    const count = changed.reduce((sum, flag) => sum + flag, 0);
    this.#pagesChanged += count;
    if (count > 0 || !(await this.#pages.keep(bytes.length))) await this.#pages.add(bytes, changed);
  }

  async #finish(size: number): Promise<Stored> {
    return {
      database: await this.#pages.finish(),
      hashes: await this.#hashes.finish(),
      header: this.#header,
      pages: Math.ceil(size / this.#header.pageBytes),
      pagesChanged: this.#pagesChanged,
    };
  }
}
