import { createHmac, hash } from 'node:crypto';
import type { PipelineKeys } from './keys.ts';

/** What a blob holds; part of its id, so that no blob passes for one of another type. */
export const blobTypes = { data: 1, map: 2, list: 3 } as const;
export type BlobType = (typeof blobTypes)[keyof typeof blobTypes];

export const blobIdBytes = 32;

/**
 * The id of a blob: HMAC-SHA-256 under the repository's key over the type byte and the SHA-256 of the plain bytes.
 * Hashing first keeps the keyed part short; the result is as unguessable and as collision-free as SHA-256 is.
 */
export function blobIdOf(keys: PipelineKeys, type: BlobType, data: Uint8Array): Uint8Array {
  return createHmac('sha256', keys.blobIdKey)
    .update(typeBytes[type] ?? Buffer.of(type))
    .update(hash('sha256', data, 'buffer'))
    .digest();
}

const typeBytes: Readonly<Record<number, Uint8Array>> = { 1: Buffer.of(1), 2: Buffer.of(2), 3: Buffer.of(3) };

/** Where a blob lies and how to open it: one row of a pack's footer and of an index. */
export interface BlobLocation {
  readonly id: Uint8Array;
  readonly type: BlobType;
  readonly codec: number;
  /** Bytes from the start of the pack to the blob's record. */
  readonly offset: number;
  /** Plain bytes. */
  readonly rawLength: number;
  /** Bytes in the pack without the record's header: sealed, with the tag. */
  readonly storedLength: number;
}
