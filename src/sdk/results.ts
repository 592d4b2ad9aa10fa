import type { ErrorKind } from '../kernel/errors/define.ts';
import type { Settings } from './settings.ts';

/** What every result has: the very object that the verb prints with `--json`. */
export interface Result {
  readonly schema: 1;
  /** Whether all that was asked is done. */
  readonly ok: boolean;
  /** Where `ok` is false: why. */
  readonly error?: ErrorInfo | undefined;
  /** What was asked of services that count, such as S3; absent where none was used. */
  readonly requests?: readonly PlaceRequests[] | undefined;
}

/** What was asked of one place. */
export interface PlaceRequests {
  readonly location: string;
  /** By the service's own names: `PutObject`, `ListObjectsV2`, … */
  readonly operations: Readonly<Record<string, OperationRequests>>;
}

/** What was asked of a service under one name. */
export interface OperationRequests {
  readonly requests: number;
  /** Of those. */
  readonly failed: number;
  /** Of bodies, without headers. */
  readonly bytes_sent: number;
  readonly bytes_received: number;
}

/** An error as plain data. */
export interface ErrorInfo {
  /** `HF-` and four digits: stable for ever, see errors.md. */
  readonly code: string;
  readonly name: string;
  readonly kind: ErrorKind;
  readonly message: string;
  /** What to do. */
  readonly hint: string;
  /** Whether the same call may succeed later with nothing changed. */
  readonly retryable: boolean;
  readonly details?: Readonly<Record<string, unknown>> | undefined;
}

export interface RepositoryRef {
  /** 32 hexadecimal digits. */
  readonly id: string;
  readonly location: string;
}

/** One backup. Sizes are bytes, times are UTC in ISO 8601. */
export interface Backup {
  /** 32 hexadecimal digits. */
  readonly id: string;
  readonly source: string;
  /** The type of the source: `postgres`, `sqlite`, `files`. */
  readonly kind: string;
  readonly started_at: string;
  readonly finished_at: string;
  readonly duration_ms: number;
  /** Read from the source. */
  /** Of everything in it, whether read or taken over from the backup before. */
  readonly bytes: number;
  readonly bytes_read: number;
  /** Written to the repository for it, compressed and encrypted. */
  readonly bytes_added: number;
  /** So much of what was read was not in the repository before. */
  readonly bytes_new: number;
  readonly chunks: number;
  readonly chunks_new: number;
  /** How many things are in it. */
  readonly entries: number;
  readonly tags: Readonly<Record<string, string>>;
  readonly host: string;
  readonly user: string;
  /** Of the directory it was started in. */
  readonly git: { readonly branch: string | null; readonly commit: string; readonly dirty: boolean } | null;
  readonly holdfast_version: string;
  readonly warnings: readonly string[];
  /** What should be in it and is not, for people; null when everything is. */
  readonly incomplete: string | null;
}

/** A backup as it is listed. */
export interface ListedBackup extends Backup {
  /** How far recovery gets from it; null for anything but a backup of a PostgreSQL cluster. */
  readonly recoverable: Recoverable | null;
  /** Why it is pinned, empty when nobody said; null when it is not. */
  readonly pinned: string | null;
}

/** A backup in detail. */
export interface BackupDetails extends ListedBackup {
  /** Counts the backups of the repository. */
  readonly sequence: number;
  /** Belongs to the kind of source. */
  readonly metadata: Readonly<Record<string, unknown>>;
  /** The WAL it needs, and where recovery can go; null for anything but a backup of a PostgreSQL cluster. */
  readonly wal: WalOfBackup | null;
}

/** The WAL that a backup of a cluster needs, and where recovery can go from it. */
export interface WalOfBackup {
  /** Id of the archive it is in. */
  readonly archive: string;
  /** Without what lies between these the backup cannot be restored. */
  readonly timeline: number;
  readonly from: string;
  readonly to: string;
  readonly segments: { readonly count: number; readonly first: string; readonly last: string };
  /** What of that is not there: the first gap in it, with the names of at most 16 segments. */
  readonly missing: {
    readonly timeline: number;
    readonly from: string;
    readonly to: string | null;
    readonly segments: readonly string[];
  } | null;
  /** Along each timeline that comes from the backup, ascending. */
  readonly timelines: readonly {
    readonly timeline: number;
    readonly to: { readonly lsn: string; readonly at: string | null };
    readonly gap: Recoverable['gap'];
  }[];
}

/** One thing in a backup: a table, a database, a file. */
export interface BackupEntry {
  /** Unique in the backup. */
  readonly path: string;
  readonly kind: string;
  readonly bytes: number;
  /** Belongs to the kind of source. */
  readonly meta: Readonly<Record<string, unknown>>;
}

/** How far recovery gets from a backup of a cluster. Positions are written as PostgreSQL writes them: `16/B374D848`. */
export interface Recoverable {
  /** The earliest moment: the end of the backup. */
  readonly from: { readonly lsn: string; readonly at: string };
  /**
   * The latest one on the timeline that a restore follows unless told otherwise; `at` is the time of the last transaction, null
   * when none is known behind the backup. Null when the backup cannot be restored.
   */
  readonly to: { readonly lsn: string; readonly at: string | null; readonly timeline: number } | null;
  /** WAL that is missing behind `to`, although there is more behind it; of a backup that cannot be restored what it lacks. */
  readonly gap: { readonly timeline: number; readonly from: string; readonly to: string | null } | null;
  /** Why it cannot be restored, for people; null when it can. */
  readonly broken: string | null;
}

export interface InitResult extends Result {
  /** False when it was there already and opens with the passphrase at hand. */
  readonly created: boolean;
  readonly repository: RepositoryRef & { readonly format: number; readonly encrypted: boolean };
  /** Where the passphrase came from; null without encryption. */
  readonly passphrase: string | null;
  /** The key file that was made or used. */
  readonly key_file: string | null;
  /** The recovery kit that was written. */
  readonly recovery_kit: string | null;
}

export interface BackupResult extends Result {
  readonly dry_run: boolean;
  readonly repository: RepositoryRef;
  /** Those that were made. */
  readonly backups: readonly Backup[];
  /** Sources without a backup, and why. */
  readonly failed: readonly { readonly source: string; readonly error: ErrorInfo }[];
  /** Sources that an interruption left without a backup. */
  readonly not_made: readonly string[];
  /** What became of each copy that is written with every backup. */
  readonly copies: readonly CopyOutcome[];
  /** Of a dry run: what was found out about each source. */
  readonly plan?:
    | readonly {
        readonly source: string;
        readonly kind: string;
        readonly findings: readonly Finding[];
      }[]
    | undefined;
}

/** What became of one copy of the repository. */
export interface CopyOutcome {
  /** As in the configuration; the location where it has no name. */
  readonly name: string;
  readonly location: string;
  /** Up to date: it has every backup that can be copied. */
  readonly ok: boolean;
  readonly duration_ms: number;
  readonly error?: Readonly<Record<string, unknown>> | undefined;
  /** Absent when it broke off: what was copied by then is there. */
  readonly report?: CopyReport | undefined;
}

export interface CopyReport {
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
  readonly others: CopiedCount;
  /** What could not be copied, for it is damaged. */
  readonly problems: readonly { readonly object: string; readonly code: string; readonly message: string }[];
  /** Keys that open the copy and not the repository it is of. */
  readonly foreign_keys: readonly string[];
}

export interface CopiedCount {
  readonly objects: number;
  readonly bytes: number;
}

export interface Finding {
  readonly check: string;
  readonly level: 'ok' | 'warning' | 'error';
  readonly message: string;
  /** What to type or change. */
  readonly mend?: string | undefined;
  readonly code?: string | undefined;
}

export interface ListResult extends Result {
  readonly repository: RepositoryRef;
  /** Oldest first. */
  readonly backups: readonly ListedBackup[];
  /** Backups that are there and cannot be read; `ok` is false when there are any. */
  readonly unreadable: readonly {
    readonly id: string;
    readonly object: string;
    readonly code: string;
    readonly message: string;
  }[];
}

export interface CleanResult extends Result {
  readonly dry_run: boolean;
  readonly repository: RepositoryRef;
  /** The time zone in which days and weeks were counted. */
  readonly timezone: string;
  /** The rules that counted for each source, in the order of their names. */
  readonly policies: readonly SourcePolicy[];
  /** By source, the oldest first. */
  readonly plan: readonly PlannedBackup[];
  /** How many stay, and how many are forgotten or, in a dry run, would be. */
  readonly kept: number;
  readonly forgotten: number;
  /** Ids of backups that no rule keeps and the storage does: it has them locked. */
  readonly locked: readonly string[];
  /** Backups that are there and cannot be read: no policy touches them; `ok` is false when there are any. */
  readonly unreadable: ListResult['unreadable'];
  /** What the prune did that was asked for; null without. */
  readonly prune: PruneReport | null;
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
  readonly waiting: readonly (PackCount & { readonly marked_at: string; readonly removable_at: string })[];
  /** WAL that no backup and no window for recovery needs: removed now, and marked now. */
  readonly wal_removed: CopiedCount;
  readonly wal_marked: CopiedCount;
  /** What nobody needs and the storage keeps locked: a later prune removes it. */
  readonly locked_objects: number;
  /** Ids of forgotten backups whose manifests went, long after what they alone needed: they cannot be brought back any more. */
  readonly emptied_trash: readonly string[];
  readonly indexes_removed: number;
  readonly backups: number;
}

export interface PackCount {
  readonly packs: number;
  readonly bytes: number;
}

export interface SourcePolicy {
  readonly source: string;
  /** Null when there are none for it, or it was not to be cleaned. */
  readonly retention: RetentionRules | null;
  /** Where they are written. */
  readonly from: string | null;
}

/** Rules, as below `retention` in a configuration file. */
export type RetentionRules = NonNullable<Settings['retention']>;

export interface PlannedBackup {
  readonly id: string;
  readonly source: string;
  readonly kind: string;
  readonly started_at: string;
  readonly action: 'keep' | 'forget';
  /** For people. Of one that stays, each by itself enough; of one that goes, why no rule keeps it. */
  readonly reasons: readonly string[];
}

export interface VerifyResult extends Result {
  readonly repository: RepositoryRef;
  readonly level: 'structure' | 'read-data' | 'read-data-subset';
  readonly backups_checked: number;
  readonly objects_checked: number;
  readonly blobs_checked: number;
  readonly blobs_read: number;
  readonly bytes_read: number;
  /** What is damaged, missing or foreign; `ok` is false when there is any. */
  readonly problems: readonly VerifyProblem[];
  /** Of each backup of a cluster that was checked. */
  readonly recovery: readonly VerifiedRecovery[];
  /** What is worth knowing and no problem, for people. */
  readonly notes: readonly string[];
  /** So many more beyond the 10,000 that are listed. */
  readonly problems_not_listed: number;
  /** The object in the repository that keeps this report; null where none was left. */
  readonly report: string | null;
}

export interface VerifiedRecovery extends Recoverable {
  /** Its id. */
  readonly backup: string;
  readonly source: string;
}

export interface VerifyProblem {
  /** Error code. */
  readonly code: string;
  readonly object: string;
  readonly message: string;
  /** Ids of the backups that need it. */
  readonly backups: readonly string[];
  /** Paths of entries that need it, at most 20 a backup. */
  readonly entries: readonly string[];
}

export interface RestoreResult extends Result {
  readonly dry_run: boolean;
  readonly repository: RepositoryRef;
  readonly backup: Backup;
  /** Of the kind of the backup: `'tables' in plan` means PostgreSQL, else `plan.kind` tells. */
  readonly plan: RestorePlan;
  /** Of the kind of the backup, too; null after a dry run. */
  readonly restored: Restored | null;
  readonly duration_ms: number;
}

/** What a restore would do. */
export type RestorePlan = PostgresRestorePlan | SqliteRestorePlan | FilesRestorePlan;
/** What was restored. */
export type Restored = PostgresRestored | SqliteRestored | FilesRestored;

export interface PostgresRestorePlan {
  /** A new database, in the place of one that is kept under another name, into an empty one, or to what is there. */
  readonly mode: 'create' | 'replace' | 'fill' | 'add';
  /** Its name in the backup. */
  readonly database: string;
  readonly target: string;
  readonly server: string;
  readonly source_version: string;
  readonly server_version: string;
  readonly tables: readonly {
    readonly schema: string;
    readonly table: string;
    readonly rows: number;
    readonly bytes: number;
  }[];
  readonly rows: number;
  readonly bytes: number;
  readonly objects: number;
  readonly roles_to_create: readonly string[];
  readonly check: boolean;
  readonly warnings: readonly string[];
}

export interface PostgresRestored {
  readonly mode: PostgresRestorePlan['mode'];
  readonly database: string;
  readonly tables: number;
  readonly rows: number;
  readonly bytes: number;
  /** Tables compared with the backup and equal. */
  readonly checked: number;
  /** The name under which the database that was there is kept. */
  readonly replaced: string | null;
  readonly roles_created: readonly string[];
  /** Milliseconds of each part. */
  readonly durations_ms: Readonly<Record<string, number>>;
  readonly warnings: readonly string[];
}

export interface SqliteRestorePlan {
  readonly kind: 'sqlite';
  readonly target: string;
  readonly databases: readonly {
    /** Its path in the backup. */
    readonly path: string;
    /** Where it goes. */
    readonly file: string;
    readonly mode: 'create' | 'replace';
    readonly bytes: number;
  }[];
  readonly bytes: number;
  readonly warnings: readonly string[];
}

export interface SqliteRestored {
  readonly databases: readonly {
    readonly file: string;
    readonly bytes: number;
    /** Where what was there is kept. */
    readonly replaced: string | null;
  }[];
  /** Databases examined and found whole. */
  readonly checked: number;
  readonly warnings: readonly string[];
}

export interface FilesRestorePlan {
  readonly kind: 'files';
  /** A new or empty directory, in the place of what is there, or chosen paths into it. */
  readonly mode: 'create' | 'replace' | 'add';
  readonly target: string;
  readonly files: number;
  readonly directories: number;
  readonly links: number;
  readonly bytes: number;
  readonly warnings: readonly string[];
}

export interface FilesRestored {
  readonly target: string;
  readonly files: number;
  readonly directories: number;
  readonly links: number;
  readonly bytes: number;
  /** Files read back and equal. */
  readonly checked: number;
  /** Where what was there is kept. */
  readonly replaced: string | null;
  readonly warnings: readonly string[];
}
