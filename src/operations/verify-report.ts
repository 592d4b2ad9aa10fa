import type { Recoverable } from './wal/recoverable.ts';

/** One damaged, missing or foreign thing that `verify` found. */
export interface VerifyProblem {
  /** Error code of the catalogue. */
  readonly code: string;
  /** The object in the storage, for instance `packs/ab/ab12…`. */
  readonly object: string;
  /** What is wrong, for people. */
  readonly message: string;
  /** Backups that need it: ids; empty when nothing needs it or it cannot be told. */
  readonly backups: readonly string[];
  /** Paths of entries that need it, at most 20 a backup. */
  readonly entries: readonly string[];
}

/** How far recovery gets from a backup of a cluster. */
export interface VerifiedRecovery extends Recoverable {
  /** Its id. */
  readonly backup: string;
  readonly source: string;
}

export interface VerifyReport {
  readonly ok: boolean;
  readonly level: 'structure' | 'read-data' | 'read-data-subset';
  readonly backups_checked: number;
  readonly objects_checked: number;
  /** Chunks that backups need, each looked up once. */
  readonly blobs_checked: number;
  /** Chunks that were read and opened as well, whether a backup needs them or not. */
  readonly blobs_read: number;
  readonly bytes_read: number;
  readonly problems: readonly VerifyProblem[];
  /** Of each backup of a cluster that was checked. */
  readonly recovery: readonly VerifiedRecovery[];
  /** What is worth knowing and no problem, for people. */
  readonly notes: readonly string[];
  /** Problems beyond the 10,000 that are listed. */
  readonly problems_not_listed: number;
}
