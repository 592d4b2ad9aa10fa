import { constants, gunzipSync, gzipSync, zstdCompressSync, zstdDecompressSync } from 'node:zlib';

/** How a blob's bytes are packed, as stored in its record. */
export const codecs = { none: 0, zstd: 1, gzip: 2 } as const;
export type CodecName = keyof typeof codecs;

export interface Compression {
  readonly codec: CodecName;
  /** zstd: -7 to 19; gzip: 1 to 9; ignored for none. */
  readonly level: number;
}

export const defaultCompression: Compression = { codec: 'zstd', level: 1 };

export interface Compressed {
  readonly codec: number;
  readonly data: Uint8Array;
}

/** Below this share saved, a blob is stored as it is: unpacking it later would cost more than it saves. */
const worthwhile = 0.97;
/** One compressed blob in this many is unpacked again and compared before it is stored. */
const proofInterval = 16;

/**
 * Compresses blobs of one thread. What does not get smaller passes through. A regular sample is unpacked and
 * compared on the spot, so that a broken compressor is found while the source is still there.
 */
export class Compressor {
  readonly #compression: Compression;
  #count = 0;

  constructor(compression: Compression) {
    this.#compression = compression;
  }

  /** The returned data may be `raw` itself. Throws a plain `Error` when a sample does not unpack to what it was. */
  compress(raw: Uint8Array): Compressed {
    const { codec, level } = this.#compression;
    if (codec === 'none' || raw.length < 64) return { codec: codecs.none, data: raw };
    const data = codec === 'zstd' ? zstd(raw, level) : gzipSync(raw, { level });
    if (data.length > raw.length * worthwhile) return { codec: codecs.none, data: raw };
    this.#count += 1;
    if (this.#count % proofInterval === 1) prove(codecs[codec], data, raw);
    return { codec: codecs[codec], data };
  }
}

function zstd(raw: Uint8Array, level: number): Uint8Array {
  // Small output buffers: the default of 64 KiB for every chunk keeps the garbage collector busy.
  const chunkSize = Math.max(8_192, raw.length >> 3);
  return zstdCompressSync(raw, { params: { [constants.ZSTD_c_compressionLevel]: level }, chunkSize });
}

function prove(codec: number, data: Uint8Array, raw: Uint8Array): void {
  if (Buffer.compare(decompress(codec, data, raw.length), raw) !== 0) {
    throw new Error('a compressed chunk does not unpack to what it was; check the memory of this machine');
  }
}

/** Unpacks a blob. Never gives more than `rawLength` bytes; throws a plain `Error` on anything unexpected. */
export function decompress(codec: number, data: Uint8Array, rawLength: number): Uint8Array {
  const raw = unpack(codec, data, rawLength);
  if (raw.length !== rawLength) throw new Error(`unpacks to ${raw.length} bytes instead of ${rawLength}`);
  return raw;
}

function unpack(codec: number, data: Uint8Array, rawLength: number): Uint8Array {
  // One output buffer of just the right size; a bomb ends at its edge.
  const options = { chunkSize: Math.max(64, rawLength), maxOutputLength: Math.max(64, rawLength) };
  if (codec === codecs.zstd) return zstdDecompressSync(data, options);
  if (codec === codecs.gzip) return gunzipSync(data, options);
  if (codec === codecs.none) return data;
  throw new Error(`unknown codec ${codec}`);
}
