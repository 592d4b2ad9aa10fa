/** Packs, and their bytes. */
export interface PackCount {
  readonly packs: number;
  readonly bytes: number;
}

export interface ObjectCount {
  readonly objects: number;
  readonly bytes: number;
}

/** What waits for its grace to pass. */
export interface Waiting extends PackCount {
  /** When it was marked, by the storage's clock. */
  readonly marked_at: string;
  /** The earliest moment at which a prune may remove it. */
  readonly removable_at: string;
}

/** What a prune found and did; with `dry_run`, what it would do. */
export interface PruneReport {
  readonly dry_run: boolean;
  /** Packs that were there at the beginning. */
  readonly before: PackCount;
  /** Of them, bytes of packs in which something is needed that nobody needs. */
  readonly unused_bytes: number;
  /** Removed now: it was marked a grace ago, and nobody needed it since. */
  readonly removed: PackCount;
  /** Marked now, for a later prune to remove. */
  readonly marked: PackCount;
  /** Packs whose needed chunks were stored anew in fuller ones; they are among the marked. */
  readonly repacked: PackCount & { readonly bytes_stored: number };
  /** Marked earlier, their grace not over yet. */
  readonly waiting: readonly Waiting[];
  /** WAL that no backup and no window for recovery needs: removed now, and marked now. */
  readonly wal_removed: ObjectCount;
  readonly wal_marked: ObjectCount;
  /** What nobody needs and the storage keeps locked: a later prune removes it. */
  readonly locked_objects: number;
  /** Ids of forgotten backups whose manifests went, long after what they alone needed: they cannot be brought back any more. */
  readonly emptied_trash: readonly string[];
  readonly indexes_removed: number;
  readonly backups: number;
}
