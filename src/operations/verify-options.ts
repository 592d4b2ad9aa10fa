import type { OperationContext } from './contract.ts';

export interface VerifyOptions extends OperationContext {
  /** Ids of the backups to check; all, and everything else in the repository, unless given. */
  readonly backups?: readonly string[];
  /** Read and check every byte of the packs, too. */
  readonly readData: boolean;
  /** With `readData`: only this share of the packs, above 0 and at most 1. */
  readonly subset?: number;
  /** Chooses the share; a number from 0 to 1 each time. */
  readonly random?: () => number;
  /** Milliseconds after which WAL that is missing is looked for once more: segments overtake each other on their way. */
  readonly overtakenMs?: number;
}
