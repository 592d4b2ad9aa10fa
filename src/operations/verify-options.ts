import type { OperationContext } from './contract.ts';
import type { ReadAt } from './verify-rotation.ts';

/** A backup as a verification has seen it. */
export interface Head {
  readonly id: string;
  readonly sequence: number;
  readonly sha256: string;
}

/** How far the WAL of the highest timeline of an archive went. */
export interface WalEnd {
  readonly archive: string;
  readonly timeline: number;
  readonly end: string;
}

export interface Remembered {
  readonly heads: readonly Head[];
  readonly walEnds: readonly WalEnd[];
}

export interface VerifyOptions extends OperationContext {
  /** Ids of the backups to check; all, and everything else in the repository, unless given. */
  readonly backups?: readonly string[];
  /** Read and check every byte of the packs, too. */
  readonly readData: boolean;
  /** With `readData`: only this share of the packs and of the WAL, above 0 and at most 1: what was read the longest ago. */
  readonly subset?: number;
  /** When what was last read; nothing ever unless given. */
  readonly readAt?: { readonly packs: ReadAt; readonly wal: ReadAt };
  /** Objects to read even where not everything is, for an earlier verification found them damaged. */
  readonly suspects?: readonly string[];
  /** There are more of those, and nobody knows which. */
  readonly suspectsUnlisted?: boolean;
  /** What there was at an earlier verification. */
  readonly remembered?: Remembered;
  /** Sources of which a good backup must not be older than that. */
  readonly expected?: readonly { readonly source: string; readonly maxAgeMs: number }[];
  /** What ages are told by; no age is unless it is given. */
  readonly nowMs?: number;
  /** Milliseconds after which WAL that is missing is looked for once more: segments overtake each other on their way. */
  readonly overtakenMs?: number;
}
