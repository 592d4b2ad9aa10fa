export interface SqliteRestoreOptions {
  /** Absolute path of a file or a directory. */
  readonly target: string;
  /** It was written with a slash at its end: a directory, though it may not be there yet. */
  readonly targetIsDirectory: boolean;
  /** Paths or patterns of databases in the backup; all when empty. */
  readonly only: readonly string[];
  readonly force: boolean;
  /** Examine each restored database (PRAGMA integrity_check). */
  readonly check: boolean;
  readonly owner: boolean;
  readonly randomHex: (bytes: number) => string;
  /** Milliseconds since 1970. */
  readonly now: () => number;
}
