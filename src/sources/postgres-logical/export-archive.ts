import type { RestoreContext } from '../port.ts';
import type { ExportSink } from '../export-port.ts';
import {
  blockTypes,
  encodeBlockEnd,
  encodeBlockHeader,
  encodePieces,
  BlobScanner,
} from './archive/blocks.ts';
import type { BlockSource, MergedArchive } from './archive/merge.ts';
import { encodeInt, encodeToc, type ArchiveToc, type TocEntry } from './archive/toc.ts';
import { withCompression, withDataOffset } from './archive/toc-edit.ts';
import { Deflater, deflateWhole } from './export-deflate.ts';

/** The archive as pg_dump writes it to a pipe without compression, for a pg_restore that reads one. */
export async function* plainArchive(
  archive: MergedArchive,
  context: RestoreContext,
): AsyncGenerator<Uint8Array, void, void> {
  const { intSize } = archive.toc.header;
  yield encodeToc(archive.toc);
  for (const { dumpId, block } of blocksOf(archive)) {
    yield encodeBlockHeader({ type: typeOf(block), dumpId }, intSize);
    for await (const content of contentOf(block, context)) {
      // The inside of a block of large objects was stored with its framing. What is handed out is ours alone.
      if (block.kind === 'blobs') yield Buffer.from(content);
      else yield* encodePieces(content, intSize);
    }
    if (block.kind === 'table') yield encodeBlockEnd(intSize);
  }
}

/**
 * Writes the archive as `pg_dump -Fc --file` does: every table and every large object compressed with zlib, and in the
 * table of contents the place of each, so that `pg_restore -j` finds them.
 */
export async function writeArchive(
  archive: MergedArchive,
  sink: ExportSink,
  context: RestoreContext,
): Promise<void> {
  await new ArchiveWriter(archive, sink, context).run();
}

class ArchiveWriter {
  readonly #archive: MergedArchive;
  readonly #toc: ArchiveToc;
  readonly #sink: ExportSink;
  readonly #context: RestoreContext;
  readonly #intSize: number;
  #position = 0;

  constructor(archive: MergedArchive, sink: ExportSink, context: RestoreContext) {
    this.#archive = archive;
    this.#toc = { ...archive.toc, header: withCompression(archive.toc.header, 'gzip') };
    this.#sink = sink;
    this.#context = context;
    this.#intSize = archive.toc.header.intSize;
  }

  async run(): Promise<void> {
    await this.#write(this.#tocWith(new Map()));
    const offsets = new Map<number, number>();
    for (const { dumpId, block } of blocksOf(this.#archive)) {
      this.#context.signal.throwIfAborted();
      offsets.set(dumpId, this.#position);
      await this.#write(encodeBlockHeader({ type: typeOf(block), dumpId }, this.#intSize));
      if (block.kind === 'table') await this.#table(block);
      else await this.#largeObjects(block);
    }
    await this.#sink.overwriteStart(this.#tocWith(offsets));
  }

  #tocWith(offsets: ReadonlyMap<number, number>): Buffer {
    const { offSize } = this.#toc.header;
    const entries = this.#toc.entries.map((entry) =>
      entry.hasData ? withDataOffset(entry, offsets.get(entry.dumpId), offSize) : entry,
    );
    return encodeToc({ ...this.#toc, entries });
  }

  async #table(block: BlockSource): Promise<void> {
    const deflater = new Deflater();
    for await (const content of contentOf(block, this.#context))
      await this.#pieces(await deflater.write(content));
    await this.#pieces(await deflater.end());
    await this.#write(encodeBlockEnd(this.#intSize));
  }

  /** The framing of the objects stays, what is in each is compressed by itself. */
  async #largeObjects(block: BlockSource): Promise<void> {
    const objects = new ObjectEvents();
    const scanner = new BlobScanner(this.#intSize, objects);
    let deflater: Deflater | undefined;
    let small: Uint8Array[] = [];
    for await (const content of contentOf(block, this.#context)) {
      scanner.push(content);
      for (const event of objects.take()) {
        if (event.kind === 'begin') await this.#write(encodeInt(event.oid, this.#intSize));
        else if (event.kind === 'content') small.push(event.bytes);
        else {
          await this.#pieces(
            deflater === undefined ? [deflateWhole(Buffer.concat(small))] : await this.#rest(deflater, small),
          );
          await this.#write(encodeBlockEnd(this.#intSize));
          deflater = undefined;
          small = [];
        }
      }
      // The object goes on: what there is of it must not pile up, and its buffer is somebody else's.
      if (small.length === 0) continue;
      deflater ??= new Deflater();
      for (const bytes of small) await this.#pieces(await deflater.write(bytes));
      small = [];
    }
    await this.#write(encodeInt(0, this.#intSize));
  }

  async #rest(deflater: Deflater, contents: readonly Uint8Array[]): Promise<Buffer[]> {
    const out: Buffer[] = [];
    for (const bytes of contents) out.push(...(await deflater.write(bytes)));
    out.push(...(await deflater.end()));
    return out;
  }

  async #pieces(pieces: readonly Uint8Array[]): Promise<void> {
    for (const piece of pieces)
      for (const framed of encodePieces(piece, this.#intSize)) await this.#write(framed);
  }

  async #write(bytes: Uint8Array): Promise<void> {
    this.#position += bytes.length;
    await this.#sink.write(bytes);
  }
}

type ObjectEvent =
  | { readonly kind: 'begin'; readonly oid: number }
  | { readonly kind: 'content'; readonly bytes: Uint8Array }
  | { readonly kind: 'end' };

/** What a scanner tells, kept until it can be waited for. */
class ObjectEvents {
  #events: ObjectEvent[] = [];

  begin(oid: number): void {
    // As pg_dump writes numbers above 2^31: through a signed integer.
    this.#events.push({ kind: 'begin', oid: oid >= 2 ** 31 ? oid - 2 ** 32 : oid });
  }

  content(bytes: Uint8Array): void {
    this.#events.push({ kind: 'content', bytes });
  }

  end(): void {
    this.#events.push({ kind: 'end' });
  }

  take(): ObjectEvent[] {
    return this.#events.splice(0);
  }
}

/** The archive without what is not `wanted`. What describes the archive itself stays. */
export function withOnly(archive: MergedArchive, wanted: readonly TocEntry[]): MergedArchive {
  const ids = new Set(wanted.map(({ dumpId }) => dumpId));
  const entries = archive.toc.entries.filter(
    ({ dumpId, description }) =>
      ids.has(dumpId) || ['ENCODING', 'STDSTRINGS', 'SEARCHPATH', 'DATABASE'].includes(description),
  );
  return { ...archive, toc: { ...archive.toc, entries } };
}

function* blocksOf({
  toc,
  blocks,
}: MergedArchive): Generator<{ readonly dumpId: number; readonly block: BlockSource }> {
  for (const { dumpId, hasData } of toc.entries) {
    const block = blocks.get(dumpId);
    if (hasData && block !== undefined) yield { dumpId, block };
  }
}

function typeOf({ kind }: BlockSource): number {
  return kind === 'table' ? blockTypes.data : blockTypes.blobs;
}

async function* contentOf({ stream }: BlockSource, context: RestoreContext): AsyncGenerator<Uint8Array> {
  if (stream === null) return;
  for await (const content of context.open(stream)) {
    context.progress.advance(content.length);
    yield content;
  }
}
