import { release } from '../kernel/release.ts';
import { BlobHasher, type BlobLocation } from './blob.ts';
import { decompress } from './codec.ts';
import type { PipelineKeys } from './keys.ts';
import { readEntries, recordHeader, recordHeaderBytes } from './pack-format.ts';
import { headerWithSalt, ObjectSeal } from './seal.ts';

/** Blobs of one pack to open, and the bytes they lie in. */
export interface DecodeRequest {
  readonly salt: Uint8Array;
  /** Offset in the pack of the first byte of `bytes`. */
  readonly bytesOffset: number;
  readonly bytes: Uint8Array;
  /** Which: rows as of a footer. */
  readonly rows: Uint8Array;
}

/** Opened blobs, in the order they were asked for. */
export interface Decoded {
  /** The plain bytes of all that are not damaged, one after another, and room for the others behind them. */
  readonly bytes: Uint8Array<ArrayBuffer>;
  /** For each blob: null, or why it cannot be opened. */
  readonly damages: readonly (string | null)[];
}

/** A blob's plain bytes, or why it cannot be opened. */
export type DecodedBlob = { readonly raw: Uint8Array } | { readonly damage: string };

/** Opens, unpacks and checks blobs: what comes out is exactly what its id says, or is named as damaged. */
export function* decodeBlobs(keys: PipelineKeys, request: DecodeRequest): Generator<DecodedBlob, void, void> {
  const seal = sealOf(keys, request);
  const hasher = new BlobHasher(keys.blobIdKey);
  for (const blob of readEntries(request.rows)) {
    try {
      yield { raw: decodeBlob(hasher, seal, request, blob) };
    } catch (error) {
      yield { damage: reason(error) };
    }
  }
}

/**
 * For each blob null, or why its record is not as it was stored. By the seal alone, which every changed bit breaks:
 * less than half the work of {@link decodeBlobs}.
 */
export function probeBlobs(keys: PipelineKeys, request: DecodeRequest): (string | null)[] {
  const seal = sealOf(keys, request);
  return Array.from(readEntries(request.rows), (blob) => {
    try {
      openRecord(seal, request, blob);
      return null;
    } catch (error) {
      return reason(error);
    }
  });
}

/**
 * As {@link decodeBlobs}, laid into one buffer: a thread hands over one much faster than a hundred.
 */
export function decodeTogether(keys: PipelineKeys, request: DecodeRequest): Decoded {
  const rawBytes = Array.from(readEntries(request.rows), ({ rawLength }) => rawLength);
  const bytes = new Uint8Array(rawBytes.reduce((sum, length) => sum + length, 0));
  const damages: (string | null)[] = [];
  let offset = 0;
  for (const blob of decodeBlobs(keys, request)) {
    damages.push('damage' in blob ? blob.damage : null);
    if ('damage' in blob) continue;
    bytes.set(blob.raw, offset);
    offset += blob.raw.length;
    if (blob.raw.buffer !== request.bytes.buffer) release(blob.raw);
  }
  return { bytes, damages };
}

function decodeBlob(
  hasher: BlobHasher,
  seal: ObjectSeal,
  request: DecodeRequest,
  blob: BlobLocation,
): Uint8Array {
  const packed = openRecord(seal, request, blob);
  const raw = decompress(blob.codec, packed, blob.rawLength);
  if (packed.buffer !== raw.buffer && packed.buffer !== request.bytes.buffer) release(packed);
  const id = hasher.idOf(blob.type, raw);
  if (Buffer.compare(id, blob.id) !== 0) throw new Error('its contents are not what its id says');
  return raw;
}

function sealOf(keys: PipelineKeys, { salt }: DecodeRequest): ObjectSeal {
  return new ObjectSeal(keys, headerWithSalt(keys, 'pack', salt));
}

function openRecord(seal: ObjectSeal, request: DecodeRequest, blob: BlobLocation): Uint8Array {
  const start = blob.offset - request.bytesOffset + recordHeaderBytes;
  const stored = request.bytes.subarray(start, start + blob.storedLength);
  if (start < 0 || stored.length !== blob.storedLength) throw new Error('the pack ends before it');
  return seal.open(blob.offset, recordHeader(blob), stored);
}

function reason(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
