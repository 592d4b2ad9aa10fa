import { hash } from 'node:crypto';

/** What a blob holds; part of its id, so that no blob passes for one of another type. */
export const blobTypes = { data: 1, map: 2, list: 3 } as const;
export type BlobType = (typeof blobTypes)[keyof typeof blobTypes];

export const blobIdBytes = 32;

/**
 * Computes blob ids: HMAC-SHA-256 under the repository's key over the type byte and the SHA-256 of the plain bytes.
 * Hashing first keeps the keyed part short; the result is as unguessable and as collision-free as SHA-256 is.
 *
 * The keyed part is HMAC as RFC 2104 writes it, by two one-shot hashes: setting up an HMAC object costs ten times
 * as much as these few bytes do.
 */
export class BlobHasher {
  readonly #inner = Buffer.alloc(64 + 1 + blobIdBytes);
  readonly #outer = Buffer.alloc(64 + blobIdBytes);

  constructor(key: Uint8Array) {
    if (key.length !== 32) throw new RangeError(`a key of ${key.length} bytes`);
    for (let at = 0; at < 64; at += 1) {
      this.#inner[at] = (key[at] ?? 0) ^ 0x36;
      this.#outer[at] = (key[at] ?? 0) ^ 0x5c;
    }
  }

  idOf(type: BlobType, data: Uint8Array): Uint8Array {
    this.#inner[64] = type;
    hash('sha256', data, 'buffer').copy(this.#inner, 65);
    hash('sha256', this.#inner, 'buffer').copy(this.#outer, 64);
    return hash('sha256', this.#outer, 'buffer');
  }
}

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
