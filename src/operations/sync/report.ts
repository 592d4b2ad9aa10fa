/** Objects and their bytes. */
export interface CopiedCount {
  readonly objects: number;
  readonly bytes: number;
}

/** What a sync did to one copy. */
export interface SyncReport {
  /** The copy was empty and is a repository now. */
  readonly created: boolean;
  /** Ids of the backups that appeared there, oldest first. */
  readonly copied: readonly string[];
  /** Backups that were there already. */
  readonly present: number;
  /** Backups that were forgotten there, and stay so. */
  readonly forgotten: number;
  /** Ids of backups that only the copy has, and that nobody has forgotten where it is a copy of. */
  readonly only_there: readonly string[];
  readonly packs: CopiedCount;
  readonly wal: CopiedCount;
  /** Keys, indexes, records and manifests. */
  readonly others: CopiedCount;
  /** What could not be copied, for it is damaged; by object, or by backup. */
  readonly problems: readonly { readonly object: string; readonly code: string; readonly message: string }[];
  /** Keys that open the copy and not the repository it is of. */
  readonly foreign_keys: readonly string[];
}
