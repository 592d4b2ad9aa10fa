import { hkdfSync } from 'node:crypto';
import type { RepositoryId } from '../kernel/ids.ts';
import { privateKeyOf, publicBytesOf } from './curve-keys.ts';

/** How sections of objects are protected: authenticated only, or encrypted and authenticated. */
export type SealMode = 'plain' | 'aes-256-gcm';

/** A pair of keys of Curve25519, 32 bytes each; an agent has only the public one. */
export interface PairOfKeys {
  readonly publicKey: Uint8Array;
  readonly privateKey: Uint8Array | null;
}

/** How agents seal: to the public key, so that only who has the private one can open; see docs/format.md, seal 2. */
export interface AgentSealKeys extends PairOfKeys {
  /** 32 bytes: who does not have them cannot forge what an agent would have sealed. */
  readonly secret: Uint8Array;
}

/**
 * What a thread needs to turn bytes into sealed blobs and, but for agents, back. Plain data, so it can be given to workers.
 * Treat it as the repository's master key: it opens everything.
 */
export interface PipelineKeys {
  readonly repositoryId: RepositoryId;
  readonly mode: SealMode;
  /** 32 bytes; objects derive a key of their own from it. Null for an agent, which seals and opens nothing. */
  readonly sealKey: Uint8Array | null;
  /** Null in a repository that is not encrypted: it has no agents. */
  readonly agent: AgentSealKeys | null;
  /** Ed25519: what agents have to believe is signed. */
  readonly signing: PairOfKeys;
  /** 32 bytes; makes blob ids unguessable. */
  readonly blobIdKey: Uint8Array;
  /** 2048 bytes: 256 little-endian 64-bit words that decide where content is cut. */
  readonly gearTable: Uint8Array;
  /** 32 bytes; makes ids of WAL archives unguessable. */
  readonly walKey: Uint8Array;
}

/** Whether these are the keys of an agent, which can add and can read nothing. */
export function isAgent(keys: Pick<PipelineKeys, 'sealKey'>): boolean {
  return keys.sealKey === null;
}

/** Derives the keys of all purposes from the 32-byte master key (HKDF-SHA-256, RFC 5869). */
export function deriveKeys(master: Uint8Array, repositoryId: RepositoryId, mode: SealMode): PipelineKeys {
  const of = (purpose: string, length = 32): Uint8Array => derive(master, repositoryId, purpose, length);
  return {
    repositoryId,
    mode,
    sealKey: of('seal'),
    agent: mode === 'plain' ? null : { ...pairOf('x25519', of('agent')), secret: of('agent-secret') },
    signing: pairOf('ed25519', of('signature')),
    blobIdKey: of('blob-id'),
    gearTable: of('chunker', 2048),
    walKey: of('wal'),
  };
}

function pairOf(curve: 'x25519' | 'ed25519', privateKey: Uint8Array): PairOfKeys {
  return { privateKey, publicKey: publicBytesOf(privateKeyOf(curve, privateKey)) };
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
