import type { Clock } from '../../kernel/clock.ts';
import type { Compression } from '../../pipeline/codec.ts';
import type { OperationContext } from '../contract.ts';
import type { KeptWal } from '../wal/unneeded.ts';

export interface PruneOptions extends OperationContext {
  readonly clock: Clock;
  readonly host: string;
  readonly pid: number;
  readonly isAlive: (pid: number) => boolean;
  /** Time between marking and removing, by the storage's clock. */
  readonly graceMs: number;
  /** So much of what packs hold beside what is needed may stay, as a share of what is needed. */
  readonly maxUnused: number;
  readonly dryRun: boolean;
  /**
   * Which WAL must stay, asked when the backups have been looked at, and again right before WAL is removed: what one of the
   * answers keeps is kept. Without it all stays.
   */
  readonly keptWal?: ((question: WalQuestion) => Promise<KeptWal>) | undefined;
  readonly compression?: Compression | undefined;
}

export interface WalQuestion {
  /** Which time it is: the earlier of what the storage and this machine say. A clock that is ahead makes no window shorter. */
  readonly nowMs: number;
  /** Ids of backups that are there: while one of them cannot be looked at, no WAL is given up. */
  readonly backups: readonly string[];
}

/** The turn of a prune, as its parts see it. */
export interface HeldTurn {
  /** Rejects when another prune has begun. To be called before each lot of removals. */
  assertHeld(): Promise<void>;
  /** To be called often during long work: says now and then that this prune is alive. */
  stay(): Promise<void>;
}
