import type { Lsn } from '../../postgres/lsn.ts';
import type { ArchiveView } from './archive-view.ts';
import type { ClusterBackup } from './backups.ts';
import type { Reach, WalPiece, WantedTimeline } from './reach.ts';
import type { ScanContext } from './scan-range.ts';

/** What a user wants a cluster to be recovered to. */
export type RecoveryTarget =
  /** The end of the backup, and nothing more. */
  | { readonly kind: 'immediate' }
  /** All the WAL there is. */
  | { readonly kind: 'end' }
  /** Everything that was committed up to a time, in microseconds since 1970; before it, when not inclusive. */
  | { readonly kind: 'time'; readonly value: number; readonly inclusive: boolean }
  /** Everything up to a position, and the record that begins there, when inclusive. */
  | { readonly kind: 'lsn'; readonly value: Lsn; readonly inclusive: boolean }
  /** Everything up to the end of a transaction, by its number; before it, when not inclusive. */
  | { readonly kind: 'xid'; readonly value: bigint; readonly inclusive: boolean }
  /** A name given by `pg_create_restore_point()`. */
  | { readonly kind: 'name'; readonly value: string };

export interface RecoveryWish {
  /** The id of the backup to begin with; null: the one that fits best. */
  readonly backup: string | null;
  readonly target: RecoveryTarget;
  readonly timeline: WantedTimeline;
}

/** What is told to PostgreSQL. */
export type PostgresTarget = Exclude<RecoveryTarget, { readonly kind: 'end' }>;

/** A backup, and how recovery would go on from it. */
export interface Candidate {
  readonly backup: ClusterBackup;
  readonly view: ArchiveView;
  readonly reach: Reach;
}

/** A candidate comes to the target. */
export interface Hit {
  /** Null: to the end of the WAL. */
  readonly target: PostgresTarget | null;
  /** What is known of where recovery will stop. */
  readonly lsn: Lsn | null;
  readonly atUs: number | null;
  readonly notes: readonly string[];
}

/** Why a candidate does not come to the target. */
export interface Miss {
  readonly miss:
    | 'timeline'
    | 'wal_missing'
    | 'before_backup'
    | 'in_gap'
    | 'in_future'
    | 'unknown'
    /** PostgreSQL would stop at an earlier point of that name, before the backup is consistent. */
    | 'name_in_backup'
    /** It cannot be told which timeline is the newest. */
    | 'history';
  /** For people. */
  readonly reason: string;
  /** No other backup helps. */
  readonly isCertain?: boolean;
}

export interface MissedBackup extends Miss {
  readonly backup: ClusterBackup;
}

export type Attempt = Hit | Miss;

export function isMiss(attempt: Attempt): attempt is Miss {
  return 'miss' in attempt;
}

/** What one search is about: WAL that was looked through for a newer backup is not read again. */
export interface Search {
  readonly context: ScanContext;
  readonly searched: WalPiece[];
}
