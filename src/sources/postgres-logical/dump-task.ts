import { failure, isFailure, reasonOf } from '../../kernel/errors/failure.ts';
import { Secret } from '../../kernel/secret.ts';
import type { StreamRef } from '../../contract/stream.ts';
import { CopyScanner } from '../../pipeline/copy-scanner.ts';
import type { Chunking, StreamWriter, Task, TaskContext, TaskModule } from '../../pipeline/task.ts';
import {
  BlobScanner,
  blockHeaderBytes,
  blockTypes,
  decodeBlockHeader,
  type BlockHeader,
} from './archive/blocks.ts';
import { encodeToc, type ArchiveToc, type TocEntry } from './archive/toc.ts';
import { TocReader } from './archive/toc-reader.ts';
import { BlobFingerprint, type BlobTotals } from './blob-fingerprint.ts';
import { startChild } from '../../postgres/child.ts';
import { toolFailure, type ServerSetting } from '../../postgres/connection/server-errors.ts';

export interface DumpInput {
  readonly command: string;
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  readonly setting: Omit<ServerSetting, 'password'> & { readonly password: string | undefined };
}

export interface TableBlock {
  readonly kind: 'table';
  readonly dumpId: number;
  readonly schema: string;
  readonly table: string;
  readonly rows: number;
  readonly bytes: number;
  readonly fingerprint: string;
  readonly stream: StreamRef;
}

export interface BlobsBlock extends BlobTotals {
  readonly kind: 'blobs';
  readonly dumpId: number;
  readonly stream: StreamRef;
}

export type DumpBlock = TableBlock | BlobsBlock;

export interface DumpOutput {
  readonly toc: StreamRef;
  readonly tocEntries: number;
  readonly encoding: string;
  readonly dumpVersion: string;
  /** In the order of the archive. */
  readonly blocks: readonly DumpBlock[];
  /** What pg_dump printed although it succeeded. */
  readonly warnings: readonly string[];
}

/** Sent by `emit` when a block begins: for progress. */
export interface DumpMessage {
  readonly dumping: string;
}

/** A changed row costs one chunk: small ones, for the sake of the second backup, at 5% more time for the first. */
const chunking: Chunking = { type: 'content', averageBytes: 32_768 };

export const dumpTaskModule: TaskModule<DumpInput, DumpOutput> = {
  url: new URL(import.meta.url),
  exportName: 'dumpTask',
};

/**
 * Runs one pg_dump and stores what it writes, a stream for the table of contents and one for every data block.
 * Throws `postgres_archive_truncated`, `postgres_archive_unknown`, or why pg_dump failed; the latter also when every
 * byte had arrived, because a pg_dump that fails at the very end has not dumped everything.
 */
export const dumpTask: Task<DumpInput, DumpOutput> = async (input, context) => {
  const password = input.setting.password === undefined ? undefined : new Secret(input.setting.password);
  const setting: ServerSetting = { ...input.setting, password };
  const child = startChild({
    command: input.command,
    args: input.args,
    env: input.env,
    signal: context.signal,
    stdin: 'ignore',
    stdout: 'pipe',
  });
  const splitter = new ArchiveSplitter(context, input.setting.database);
  try {
    for await (const piece of child.stdout as AsyncIterable<Buffer>) {
      context.progress(piece.length);
      await splitter.push(piece);
    }
  } catch (error) {
    await child.stop();
    context.signal.throwIfAborted();
    throw isFailure(error)
      ? error
      : failure('postgres_archive_unknown', { reason: reasonOf(error) }, { cause: error });
  }
  const exit = await child.exit;
  if (exit.code !== 0) throw toolFailure('pg_dump', exit, setting);
  return { ...splitter.finish(), warnings: warningsIn(exit.stderr) };
};

/** Takes an archive apart as its bytes come: table of contents, then block after block. */
export class ArchiveSplitter {
  readonly #context: TaskContext;
  readonly #database: string;
  readonly #reader = new TocReader();
  readonly #blocks: DumpBlock[] = [];
  readonly #expected = new Map<number, TocEntry>();
  #toc: ArchiveToc | undefined;
  #tocStream: StreamRef | undefined;
  #scanner: CopyScanner | undefined;
  #headerBytes: Buffer = Buffer.alloc(0);
  #block: OpenBlock | undefined;

  constructor(context: TaskContext, database: string) {
    this.#context = context;
    this.#database = database;
  }

  async push(data: Buffer): Promise<void> {
    let rest: Uint8Array = data;
    if (this.#toc === undefined) {
      const toc = this.#reader.push(data);
      if (toc === undefined) return;
      await this.#beginData(toc);
      rest = this.#reader.rest;
    }
    while (rest.length > 0)
      rest = this.#block === undefined ? this.#takeHeader(rest) : await this.#takeContent(rest, this.#block);
  }

  /** Everything stored; throws `postgres_archive_truncated` unless the archive is whole. */
  finish(): Omit<DumpOutput, 'warnings'> {
    if (this.#toc === undefined || this.#tocStream === undefined)
      throw this.#truncated('inside the table of contents');
    if (this.#block !== undefined) throw this.#truncated(`inside the data of ${nameOf(this.#block.entry)}`);
    if (this.#headerBytes.length > 0) throw this.#truncated('inside the header of a data block');
    for (const entry of this.#expected.values()) throw this.#truncated(`before the data of ${nameOf(entry)}`);
    const { header, entries, encoding } = this.#toc;
    return {
      toc: this.#tocStream,
      tocEntries: entries.length,
      encoding,
      dumpVersion: header.dumpVersion,
      blocks: this.#blocks,
    };
  }

  async #beginData(toc: ArchiveToc): Promise<void> {
    const { compression, intSize } = toc.header;
    if (compression !== 0)
      throw failure('postgres_archive_unknown', {
        reason: 'its data are compressed although -Z0 was asked for',
      });
    for (const entry of toc.entries) if (entry.hasData) this.#expected.set(entry.dumpId, entry);
    this.#toc = toc;
    this.#scanner = new CopyScanner({ intSize });
    this.#tocStream = await this.#store(encodeToc(toc));
  }

  #takeHeader(input: Uint8Array): Uint8Array {
    const intSize = this.#toc?.header.intSize ?? 4;
    const missing = blockHeaderBytes(intSize) - this.#headerBytes.length;
    this.#headerBytes = Buffer.concat([this.#headerBytes, input.subarray(0, missing)]);
    const header = decodeBlockHeader(this.#headerBytes, intSize);
    if (header !== undefined) {
      this.#headerBytes = Buffer.alloc(0);
      this.#block = this.#openBlock(header, intSize);
    }
    return input.subarray(missing);
  }

  #openBlock(header: BlockHeader, intSize: number): OpenBlock {
    const entry = this.#expected.get(header.dumpId);
    if (entry === undefined) {
      throw failure('postgres_archive_unknown', {
        reason: `data block ${header.dumpId} is not in the table of contents, or comes twice`,
      });
    }
    this.#expected.delete(header.dumpId);
    this.#context.emit({ dumping: nameOf(entry) } satisfies DumpMessage);
    const writer = this.#context.openStream(chunking);
    if (header.type === blockTypes.data) {
      this.#scanner?.reset();
      return { entry, writer, blobs: undefined };
    }
    const totals = new BlobFingerprint();
    return { entry, writer, blobs: { totals, scanner: new BlobScanner(intSize, totals) } };
  }

  async #takeContent(input: Uint8Array, block: OpenBlock): Promise<Uint8Array> {
    const { writer, blobs } = block;
    if (blobs !== undefined) {
      const consumed = blobs.scanner.push(input);
      await writer.write(input.subarray(0, consumed));
      if (blobs.scanner.ended) await this.#closeBlock(block);
      return input.subarray(consumed);
    }
    if (this.#scanner === undefined)
      throw failure('internal', { reason: 'data before the table of contents' });
    const { consumed, content, ended } = this.#scanner.pushFramed(input);
    if (content.length > 0) await writer.write(content);
    if (ended) await this.#closeBlock(block);
    return input.subarray(consumed);
  }

  async #closeBlock({ entry, writer, blobs }: OpenBlock): Promise<void> {
    const { dumpId } = entry;
    this.#block = undefined;
    const result = this.#scanner?.result();
    const stream = await writer.finish();
    if (blobs !== undefined) {
      this.#blocks.push({ kind: 'blobs', dumpId, stream, ...blobs.totals.totals() });
    } else if (result !== undefined) {
      const { rows, bytes, fingerprint } = result;
      this.#blocks.push({
        kind: 'table',
        dumpId,
        schema: entry.schema,
        table: entry.tag,
        rows,
        bytes,
        fingerprint,
        stream,
      });
    }
  }

  async #store(bytes: Uint8Array): Promise<StreamRef> {
    const writer = this.#context.openStream(chunking);
    await writer.write(bytes);
    return await writer.finish();
  }

  #truncated(where: string): Error {
    return failure('postgres_archive_truncated', {
      database: this.#database,
      reason: `it broke off ${where}`,
    });
  }
}

interface OpenBlock {
  readonly entry: TocEntry;
  readonly writer: StreamWriter;
  readonly blobs: { readonly totals: BlobFingerprint; readonly scanner: BlobScanner } | undefined;
}

function nameOf(entry: TocEntry): string {
  return entry.schema === '' ? 'large objects' : `${entry.schema}.${entry.tag}`;
}

/** Warnings of a dump that succeeded, without those about restoring a data-only dump, which is not how it is restored. */
function warningsIn(stderr: string): string[] {
  const lines = stderr
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line.startsWith('pg_dump: warning: '));
  return lines
    .map((line) => line.slice('pg_dump: warning: '.length))
    .filter((line) => !line.includes('circular foreign-key constraints'));
}
