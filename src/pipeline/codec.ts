import { constants, gunzipSync, gzipSync, zstdCompressSync, zstdDecompressSync } from 'node:zlib';
import { release } from '../kernel/release.ts';

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
/** Node gives buffers of at least this size memory of their own. */
const unpooledBytes = (Buffer.poolSize >>> 1) + 1;
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
    if (codec === 'none' || raw.length < 64 || isNoise(raw)) return { codec: codecs.none, data: raw };
    const data = codec === 'zstd' ? zstd(raw, level) : gzip(raw, level);
    if (data.length > raw.length * worthwhile) {
      release(data);
      return { codec: codecs.none, data: raw };
    }
    this.#count += 1;
    if (this.#count % proofInterval === 1) prove(codecs[codec], data, raw);
    return { codec: codecs[codec], data };
  }
}

/** Larger blobs are worth the try; for small ones setting up a compressor costs more than looking at a sample. */
const noiseBytes = 131_072;
const samples = 1024;
const counts = new Uint16Array(256);

/**
 * Whether a small blob is surely not worth compressing: a sample of its bytes is spread as evenly as chance would. The
 * sum of the squares of their counts is about n + n²/256 for noise, and below 1.15 times the second term only where each
 * byte holds more than 7.8 bits, which leaves less to save than {@link worthwhile} asks for.
 */
function isNoise(raw: Uint8Array): boolean {
  if (raw.length > noiseBytes || raw.length < samples) return false;
  const step = Math.floor(raw.length / samples);
  counts.fill(0);
  let squares = 0;
  for (let index = 0; index < samples; index += 1) {
    const byte = raw[index * step] ?? 0;
    const count = (counts[byte] ?? 0) + 1;
    counts[byte] = count;
    squares += 2 * count - 1;
  }
  return squares < samples + (1.15 * samples * samples) / 256;
}

function zstd(raw: Uint8Array, level: number): Uint8Array {
  const params = { [constants.ZSTD_c_compressionLevel]: level };
  return zstdCompressSync(raw, { params, chunkSize: roomFor(raw.length) });
}

function gzip(raw: Uint8Array, level: number): Uint8Array {
  return gzipSync(raw, { level, chunkSize: roomFor(raw.length) });
}

/** One output buffer that holds it all, and none of the pool's: it can be released as soon as it is copied. */
function roomFor(bytes: number): number {
  return Math.max(unpooledBytes, bytes);
}

function prove(codec: number, data: Uint8Array, raw: Uint8Array): void {
  const unpacked = decompress(codec, data, raw.length);
  if (Buffer.compare(unpacked, raw) !== 0) {
    throw new Error('a compressed chunk does not unpack to what it was; check the memory of this machine');
  }
  release(unpacked);
}

/** Unpacks a blob. Never gives more than `rawLength` bytes; throws a plain `Error` on anything unexpected. */
export function decompress(codec: number, data: Uint8Array, rawLength: number): Uint8Array {
  const raw = unpack(codec, data, rawLength);
  if (raw.length !== rawLength) throw new Error(`unpacks to ${raw.length} bytes instead of ${rawLength}`);
  return raw;
}

function unpack(codec: number, data: Uint8Array, rawLength: number): Uint8Array {
  // A bomb ends at the edge.
  const options = { chunkSize: roomFor(rawLength), maxOutputLength: Math.max(64, rawLength) };
  if (codec === codecs.zstd) return zstdDecompressSync(data, options);
  if (codec === codecs.gzip) return gunzipSync(data, options);
  if (codec === codecs.none) return data;
  throw new Error(`unknown codec ${codec}`);
}
