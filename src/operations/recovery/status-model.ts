/** Positions as PostgreSQL writes them: `16/B374D848`. */
export interface PositionRange {
  readonly from: string;
  /** The first position behind. */
  readonly to: string;
}

export interface ReachedPosition {
  readonly timeline: number;
  readonly lsn: string;
  /** Time of the last transaction, as far as it was noted: `2026-11-21T20:15:30.123456Z`. */
  readonly at: string | null;
}

export interface TimelineStatus {
  readonly timeline: number;
  /** Null for one that comes from no other, or whose history is missing or damaged. */
  readonly parent: number | null;
  readonly branched_off_at: string | null;
  /** Of the WAL that is there; null when none is. */
  readonly from: string | null;
  readonly to: string | null;
  readonly stored_bytes: number;
  /** When the newest of it was stored, by the storage's clock. */
  readonly stored_at: string | null;
  readonly gaps: readonly PositionRange[];
  /** In front of all backups that could be recovered with it. */
  readonly useless: PositionRange | null;
}

/** Every moment of it can be recovered to, along that timeline. */
export interface WindowStatus {
  readonly timeline: number;
  readonly from: { readonly lsn: string; readonly at: string };
  readonly to: { readonly lsn: string; readonly at: string | null };
  /** Ids of those that recovery can begin with, the oldest first. */
  readonly backups: readonly string[];
}

/** How far a backup can be recovered, along the newest timeline that comes from it. */
export interface BackupReach {
  readonly id: string;
  readonly timeline: number;
  /** The first moment it can be recovered to. */
  readonly consistent: { readonly lsn: string; readonly at: string };
  /** WAL without which it cannot be recovered at all; null when all of it is there. */
  readonly missing: { readonly timeline: number; readonly from: string; readonly to: string } | null;
  readonly reaches: ReachedPosition | null;
  /** What lies behind `reaches` and is missing, with more behind it or (`to` is null) on a later timeline. */
  readonly gap: { readonly timeline: number; readonly from: string; readonly to: string | null } | null;
}

/** WAL is there of a timeline, and nothing tells where it comes from: no recovery finds the way to it. */
export interface LostTimelineStatus extends PositionRange {
  readonly timeline: number;
  /** That would tell: `00000002.history`. */
  readonly file: string;
  /** Backups that might lead to it as the newest timeline; not those of which it is certain that they do not. */
  readonly backups: readonly string[];
}

/** The WAL of a cluster in a repository, plain for JSON. */
export interface WalStatus {
  readonly source: string;
  readonly archive: string;
  readonly system_identifier: string;
  readonly segment_bytes: number;
  readonly timelines: readonly TimelineStatus[];
  readonly windows: readonly WindowStatus[];
  /** The newest first. */
  readonly backups: readonly BackupReach[];
  /** Where the newest timeline ends; `at` is the time of its last transaction. Null when there is no WAL. */
  readonly newest: (ReachedPosition & { readonly stored_at: string }) | null;
  readonly lost_timelines: readonly LostTimelineStatus[];
  /** Of a missing file `damage` is null. */
  readonly damaged_histories: readonly { readonly file: string; readonly damage: string | null }[];
}
