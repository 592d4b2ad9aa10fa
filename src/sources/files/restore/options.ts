export interface FilesRestoreOptions {
  /** Absolute path of a directory. */
  readonly target: string;
  /** Paths or patterns of what to restore; everything when empty. */
  readonly only: readonly string[];
  readonly force: boolean;
  /** Read back what was written, and compare. */
  readonly check: boolean;
  /** Give files to the users they belonged to; only root can. */
  readonly owner: boolean;
  readonly randomHex: (bytes: number) => string;
  /** Milliseconds since 1970. */
  readonly now: () => number;
}
