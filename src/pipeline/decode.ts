import { BlobHasher, type BlobLocation } from './blob.ts';
import { decompress } from './codec.ts';
import type { PipelineKeys } from './keys.ts';
import { recordHeader, recordHeaderBytes } from './pack-format.ts';
import { headerWithSalt, ObjectSeal } from './seal.ts';

/** Blobs of one pack to open, and the bytes they lie in. */
export interface DecodeRequest {
  readonly salt: Uint8Array;
  /** Offset in the pack of the first byte of `bytes`. */
  readonly bytesOffset: number;
  readonly bytes: Uint8Array;
  readonly blobs: readonly BlobLocation[];
}

/** For each blob its plain bytes, or why it cannot be opened. */
export type Decoded = readonly (Uint8Array | { readonly damage: string })[];

/** Opens, unpacks and checks blobs: what comes out is exactly what its id says, or is named as damaged. */
export function decodeBlobs(keys: PipelineKeys, request: DecodeRequest): Decoded {
  const seal = new ObjectSeal(keys, headerWithSalt(keys, 'pack', request.salt));
  const hasher = new BlobHasher(keys.blobIdKey);
  return request.blobs.map((blob) => {
    try {
      return decodeBlob(hasher, seal, request, blob);
    } catch (error) {
      return { damage: error instanceof Error ? error.message : String(error) };
    }
  });
}

function decodeBlob(
  hasher: BlobHasher,
  seal: ObjectSeal,
  request: DecodeRequest,
  blob: BlobLocation,
): Uint8Array {
  const start = blob.offset - request.bytesOffset + recordHeaderBytes;
  const stored = request.bytes.subarray(start, start + blob.storedLength);
  if (start < 0 || stored.length !== blob.storedLength) throw new Error('the pack ends before it');
  const data = seal.open(blob.offset, recordHeader(blob), stored);
  const raw = decompress(blob.codec, data, blob.rawLength);
  const id = hasher.idOf(blob.type, raw);
  if (Buffer.compare(id, blob.id) !== 0) throw new Error('its contents are not what its id says');
  return raw;
}
