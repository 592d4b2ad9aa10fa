export interface RecoveryTarget {
  readonly kind: 'immediate' | 'time' | 'lsn' | 'xid' | 'name';
  /** As PostgreSQL reads it; without meaning for `immediate`. */
  readonly value: string;
  /** Whether the very commit or position asked for is still replayed. Not for `immediate` and `name`. */
  readonly inclusive: boolean;
}

/** How the restored cluster finds its WAL, and where it stops to replay it. */
export interface RecoverySettings {
  /** With `%f` and `%p`, as the shell of the server will read it. */
  readonly restoreCommand: string;
  /** Null: all there is. */
  readonly target: RecoveryTarget | null;
  readonly timeline: 'latest' | 'current' | number;
  readonly action: 'promote' | 'pause' | 'shutdown';
  /** There is a gap right behind the target, which the server must not come upon while it reads ahead. */
  readonly mustNotReadAhead?: boolean | undefined;
  /** Replay for ever instead of opening the cluster when the WAL ends. */
  readonly standby?: boolean | undefined;
}

export interface FileOwner {
  readonly uid: number;
  readonly gid: number;
}

export interface ClusterRestoreOptions {
  /** Absolute path of the data directory to make. */
  readonly target: string;
  /** Id of the backup, for the mark of an unfinished restore. */
  readonly backup: string;
  /** Change the data directory that is there into that of the backup. */
  readonly delta: boolean;
  /** Keep what is there aside under another name. */
  readonly force: boolean;
  /** New absolute paths of tablespaces, by their OID or by the path they had. */
  readonly tablespaces: Readonly<Record<string, string>>;
  readonly recovery: RecoverySettings;
  /** Whose the files shall be; null: whose the target is, or whoever restores. */
  readonly owner: FileOwner | null;
  /** Leave `archive_mode` as it was: the restored cluster archives to where the one that was backed up does. */
  readonly keepArchiving: boolean;
  /** Milliseconds since 1970. */
  readonly now: () => number;
}
