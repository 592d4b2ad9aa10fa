import { hkdfSync } from 'node:crypto';
import type { RepositoryId } from '../kernel/ids.ts';

/** How sections of objects are protected: authenticated only, or encrypted and authenticated. */
export type SealMode = 'plain' | 'aes-256-gcm';

/**
 * What a thread needs to turn bytes into sealed blobs and back. Plain data, so it can be given to workers.
 * Treat it as the repository's master key: it opens everything.
 */
export interface PipelineKeys {
  readonly repositoryId: RepositoryId;
  readonly mode: SealMode;
  /** 32 bytes; objects derive a key of their own from it. */
  readonly sealKey: Uint8Array;
  /** 32 bytes; makes blob ids unguessable. */
  readonly blobIdKey: Uint8Array;
  /** 2048 bytes: 256 little-endian 64-bit words that decide where content is cut. */
  readonly gearTable: Uint8Array;
  /** 32 bytes; makes ids of WAL archives unguessable. */
  readonly walKey: Uint8Array;
}

/** Derives the keys of all purposes from the 32-byte master key (HKDF-SHA-256, RFC 5869). */
export function deriveKeys(master: Uint8Array, repositoryId: RepositoryId, mode: SealMode): PipelineKeys {
  return {
    repositoryId,
    mode,
    sealKey: derive(master, repositoryId, 'seal', 32),
    blobIdKey: derive(master, repositoryId, 'blob-id', 32),
    gearTable: derive(master, repositoryId, 'chunker', 2048),
    walKey: derive(master, repositoryId, 'wal', 32),
  };
}

/** One sub-key of `length` bytes for `purpose`. */
export function derive(
  master: Uint8Array,
  repositoryId: RepositoryId,
  purpose: string,
  length: number,
): Uint8Array {
  const salt = Buffer.from(repositoryId, 'hex');
  return new Uint8Array(hkdfSync('sha256', master, salt, `holdfast/1/${purpose}`, length));
}
