import { once } from 'node:events';
import * as zlib from 'node:zlib';
import { failure } from '../../kernel/errors/failure.ts';
import { ByteQueue } from '../../pipeline/byte-queue.ts';
import { blockHeaderBytes, blockTypes, decodeBlockHeader, decodeInt } from './archive/blocks.ts';
import { compressionOf, withCompression, withDataOffset } from './archive/toc-edit.ts';
import { encodeInt, encodeToc, type ArchiveToc } from './archive/toc.ts';
import { TocReader } from './archive/toc-reader.ts';

/** Called once the table of contents is known, before anything of it is handed out; may throw. */
export type TocCheck = (toc: ArchiveToc) => void;

const readBytes = 262_144;
/** Of large objects, as pg_dump writes them without compression: backups keep that, so the same ones are stored once. */
const pieceBytes = 16_384;

/**
 * The bytes of an archive as pg_dump writes it to a pipe without compression, whatever it is compressed with and whether
 * or not it says where its data are. Throws `import_damaged` and `import_unsupported`, naming `file`.
 */
export async function* inflated(
  source: AsyncIterable<Buffer>,
  file: string,
  check: TocCheck,
): AsyncGenerator<Buffer, void, void> {
  const iterator = source[Symbol.asyncIterator]();
  try {
    const { toc, rest } = await readToc(iterator, file);
    check(toc);
    const compression = compressionOf(toc.header);
    yield encodeToc(plainToc(toc));
    const data = remaining(rest, iterator);
    if (compression === 'none') yield* data;
    else yield* new Inflating(data, file, toc.header.intSize, decompressorOf(compression, file)).blocks();
  } finally {
    await iterator.return?.();
  }
}

async function readToc(
  source: AsyncIterator<Buffer>,
  file: string,
): Promise<{ readonly toc: ArchiveToc; readonly rest: Buffer }> {
  const reader = new TocReader();
  for (let next = await source.next(); next.done !== true; next = await source.next()) {
    const toc = reader.push(next.value);
    if (toc !== undefined) return { toc, rest: reader.rest };
  }
  throw failure('import_damaged', { file, reason: 'it breaks off inside the table of contents' });
}

async function* remaining(rest: Buffer, source: AsyncIterator<Buffer>): AsyncGenerator<Buffer, void, void> {
  if (rest.length > 0) yield rest;
  for (let next = await source.next(); next.done !== true; next = await source.next()) yield next.value;
}

function plainToc(toc: ArchiveToc): ArchiveToc {
  const { offSize } = toc.header;
  const entries = toc.entries.map((entry) =>
    entry.hasData ? withDataOffset(entry, undefined, offSize) : entry,
  );
  return { ...toc, header: withCompression(toc.header, 'none'), entries };
}

type Decompress = () => zlib.Inflate | zlib.ZstdDecompress;

function decompressorOf(compression: ReturnType<typeof compressionOf>, file: string): Decompress {
  if (compression === 'gzip') return () => zlib.createInflate({ chunkSize: readBytes });
  if (compression === 'zstd') return () => zlib.createZstdDecompress({ chunkSize: readBytes });
  throw failure('import_unsupported', {
    file,
    what: `data compressed with ${compression ?? 'something unknown'}`,
    mend: 'make it anew with pg_dump -Fc --compress=gzip, or restore it and back up the database',
  });
}

/** Walks the data blocks: `type, number, pieces, 0` for a table, `type, number, (number, pieces, 0)…, 0` for objects. */
class Inflating {
  readonly #bytes: ByteQueue;
  readonly #file: string;
  readonly #intSize: number;
  readonly #decompress: Decompress;

  constructor(source: AsyncIterable<Buffer>, file: string, intSize: number, decompress: Decompress) {
    this.#bytes = new ByteQueue(source);
    this.#file = file;
    this.#intSize = intSize;
    this.#decompress = decompress;
  }

  async *blocks(): AsyncGenerator<Buffer, void, void> {
    for (;;) {
      const bytes = await this.#bytes.take(blockHeaderBytes(this.#intSize));
      if (bytes.length === 0) return;
      const header = decodeBlockHeader(bytes, this.#intSize);
      if (header === undefined) throw this.#brokenOff();
      yield bytes;
      if (header.type === blockTypes.blobs) yield* this.#objects();
      else yield* this.#content();
    }
  }

  async *#objects(): AsyncGenerator<Buffer, void, void> {
    for (;;) {
      const number = await this.#int();
      yield encodeInt(number, this.#intSize);
      if (number === 0) return;
      yield* this.#content();
    }
  }

  /** Pieces up to the one of length 0, taken together, decompressed, and cut into pieces again. */
  async *#content(): AsyncGenerator<Buffer, void, void> {
    const unpacked = new Unpacking(this.#decompress, this.#file);
    let rest: Buffer = Buffer.alloc(0);
    for (let left = await this.#int(); left > 0; left = await this.#int()) {
      while (left > 0) {
        const part = await this.#bytes.some(Math.min(left, readBytes));
        if (part === undefined) throw this.#brokenOff();
        left -= part.length;
        rest = Buffer.concat([rest, ...(await unpacked.write(part))]);
        const whole = rest.length - (rest.length % pieceBytes);
        if (whole > 0) yield this.#framed(rest.subarray(0, whole));
        rest = rest.subarray(whole);
      }
    }
    yield this.#framed(Buffer.concat([rest, ...(await unpacked.end())]));
    yield encodeInt(0, this.#intSize);
  }

  #framed(content: Buffer): Buffer {
    const pieces: Buffer[] = [];
    for (let at = 0; at < content.length; at += pieceBytes) {
      const piece = content.subarray(at, at + pieceBytes);
      pieces.push(encodeInt(piece.length, this.#intSize), piece);
    }
    return Buffer.concat(pieces);
  }

  async #int(): Promise<number> {
    const bytes = await this.#bytes.take(1 + this.#intSize);
    if (bytes.length < 1 + this.#intSize) throw this.#brokenOff();
    return decodeInt(bytes);
  }

  #brokenOff(): Error {
    return failure('import_damaged', {
      file: this.#file,
      reason: 'it breaks off inside the data of a table',
    });
  }
}

/** One compressed stream. Nothing at all stands for no content. */
class Unpacking {
  readonly #file: string;
  readonly #make: Decompress;
  #stream: ReturnType<Decompress> | undefined;
  readonly #out: Buffer[] = [];
  #error: Error | undefined;

  constructor(make: Decompress, file: string) {
    this.#make = make;
    this.#file = file;
  }

  async write(bytes: Uint8Array): Promise<Buffer[]> {
    const stream = (this.#stream ??= this.#started());
    await new Promise<void>((resolve) => stream.write(bytes, () => resolve()));
    return this.#taken();
  }

  async end(): Promise<Buffer[]> {
    if (this.#stream !== undefined && this.#error === undefined) {
      const closed = once(this.#stream, 'close').catch(() => undefined);
      this.#stream.end();
      await closed;
    }
    return this.#taken();
  }

  #started(): ReturnType<Decompress> {
    const stream = this.#make();
    stream.on('data', (piece: Buffer) => this.#out.push(piece));
    stream.on('error', (error) => (this.#error = error));
    return stream;
  }

  #taken(): Buffer[] {
    if (this.#error === undefined) return this.#out.splice(0);
    const reason = `data cannot be unpacked: ${this.#error.message}`;
    throw failure('import_damaged', { file: this.#file, reason }, { cause: this.#error });
  }
}
