import { failure } from '../../../kernel/errors/failure.ts';
import { encodeInt } from './toc.ts';

/** Block types of the custom format: `BLK_DATA` and `BLK_BLOBS` in pg_backup_archiver.h. */
export const blockTypes = { data: 1, blobs: 3 } as const;

export interface BlockHeader {
  readonly type: number;
  readonly dumpId: number;
}

/** What comes before the pieces of a block. */
export function encodeBlockHeader(header: BlockHeader, intSize: number): Buffer {
  return Buffer.concat([Buffer.from([header.type]), encodeInt(header.dumpId, intSize)]);
}

/** The header at the start of `bytes`, or undefined when more bytes are needed. Throws `postgres_archive_unknown`. */
export function decodeBlockHeader(bytes: Uint8Array, intSize: number): BlockHeader | undefined {
  const [type] = bytes;
  if (type !== undefined && type !== blockTypes.data && type !== blockTypes.blobs) {
    throw failure('postgres_archive_unknown', { reason: `a data block has type ${type}` });
  }
  if (type === undefined || bytes.length < 2 + intSize) return undefined;
  return { type, dumpId: decodeInt(bytes.subarray(1, 2 + intSize)) };
}

export function blockHeaderBytes(intSize: number): number {
  return 2 + intSize;
}

export function decodeInt(bytes: Uint8Array): number {
  let value = 0;
  for (let index = bytes.length - 1; index >= 1; index -= 1) value = value * 256 + (bytes[index] ?? 0);
  return bytes[0] === 0 ? value : -value;
}

/** Told by {@link BlobScanner}: the content of one large object after the other. */
export interface BlobSink {
  begin(oid: number): void;
  content(bytes: Uint8Array): void;
  end(): void;
}

/**
 * Walks the inside of a blobs block: an object's number, pieces up to one of length 0, the next number, up to 0.
 * Integers may be split anywhere between calls.
 */
export class BlobScanner {
  readonly #sink: BlobSink;
  readonly #intSize: number;
  readonly #pending: number[] = [];
  #inObject = false;
  #left = 0;
  #ended = false;

  constructor(intSize: number, sink: BlobSink) {
    this.#intSize = intSize;
    this.#sink = sink;
  }

  get ended(): boolean {
    return this.#ended;
  }

  /** Returns how many bytes belong to the block; fewer than given only when the block has ended. */
  push(input: Uint8Array): number {
    let at = 0;
    while (at < input.length && !this.#ended) {
      if (this.#left > 0) {
        const part = input.subarray(at, at + this.#left);
        this.#sink.content(part);
        this.#left -= part.length;
        at += part.length;
        continue;
      }
      this.#pending.push(input[at] ?? 0);
      at += 1;
      if (this.#pending.length === 1 + this.#intSize)
        this.#takeInt(decodeInt(Uint8Array.from(this.#pending.splice(0))));
    }
    return at;
  }

  #takeInt(value: number): void {
    if (this.#inObject) {
      if (value < 0)
        throw failure('postgres_archive_unknown', {
          reason: 'a large object has a piece of negative length',
        });
      if (value > 0) this.#left = value;
      else {
        this.#inObject = false;
        this.#sink.end();
      }
    } else if (value === 0) {
      this.#ended = true;
    } else {
      // Numbers above 2^31 are written through a signed integer.
      this.#inObject = true;
      this.#sink.begin(value < 0 ? value + 2 ** 32 : value);
    }
  }
}

/** Cuts content into pieces, each with its length before it, as pg_restore reads them. Each is a copy. */
export function* encodePieces(content: Uint8Array, intSize: number): Generator<Uint8Array> {
  for (let at = 0; at < content.length; at += maximumPieceBytes) {
    const piece = content.subarray(at, at + maximumPieceBytes);
    yield Buffer.concat([encodeInt(piece.length, intSize), piece]);
  }
}

const maximumPieceBytes = 262_144;

/** The piece of length 0 that ends a data block. */
export function encodeBlockEnd(intSize: number): Buffer {
  return encodeInt(0, intSize);
}
