import type { LogEntry, ProgressEvent } from './events.ts';
import type { Settings, SourceSettings } from './settings.ts';

/** What every call takes. */
export interface CallOptions {
  /** The configuration file. Without it `HOLDFAST_CONFIG` is used, else `holdfast.yaml` of the current directory if there is one. */
  readonly config?: string | undefined;
  /** Where the repository is: a path or `file:///path`. Short for `settings: { repository }`. */
  readonly repository?: string | undefined;
  /** The passphrase of the repository. Short for `settings: { encryption: { passphrase } }`. */
  readonly passphrase?: string | undefined;
  /** How many things run at once. Short for `settings: { jobs }`. */
  readonly jobs?: number | undefined;
  /** Anything that a configuration file can say. Counts before environment and file. */
  readonly settings?: Settings | undefined;
  /** Relative paths start here, and `holdfast.yaml` and `.env` are looked for here; the current directory unless given. */
  readonly cwd?: string | undefined;
  /** Read in the place of `process.env`: for settings, `PG*` variables and programs that are started. */
  readonly env?: Readonly<Record<string, string | undefined>> | undefined;
  /**
   * Ends the call as soon as it can be ended in good order. It then rejects with the error `interrupted` (HF-1003), whose
   * `cause` is the signal's reason.
   */
  readonly signal?: AbortSignal | undefined;
  /** Told of phases, bytes, notices and finished backups. What it throws ends the call, which then rejects with it. */
  readonly onProgress?: ((event: ProgressEvent) => void) | undefined;
  /** Told what goes into the log, from warnings on, or from `logLevel` on. The log file is written all the same. */
  readonly onLog?: ((entry: LogEntry) => void) | undefined;
  /** The least serious entry that `onLog` is told. Short for `settings: { log: { level } }`, so of the log file, too. */
  readonly logLevel?: 'debug' | 'info' | 'warn' | 'error' | undefined;
}

/** A source given in code: the settings it would have in the configuration file, and its name. */
export type NamedSource = SourceSettings & {
  /** Backups are found by it; letters, digits, `-` and `_`. */
  readonly name: string;
};

/** For {@link initRepository}. */
export interface InitOptions extends CallOptions {
  /** False for a repository that anyone who can read the place can read. */
  readonly encryption?: boolean | undefined;
  /** Names the key that is made; `user@host` unless given. */
  readonly label?: string | undefined;
  /** Where the recovery kit goes: a file or directory; the current directory unless given. */
  readonly recoveryKit?: string | undefined;
  /** Make the bucket of the repository when it is not there, with versioning and without public access. */
  readonly createBucket?: boolean | undefined;
}

/** For {@link createBackup}. */
export interface BackupOptions extends CallOptions {
  /**
   * What to back up: names of configured sources, sources given here, or both. All configured sources, or the one of
   * `DATABASE_URL`, when it is left out.
   */
  readonly source?: string | NamedSource | readonly (string | NamedSource)[] | undefined;
  /** A source by its URL, with the defaults of its kind: `postgres://…`, `sqlite:PATH` or `files:DIRECTORY`. */
  readonly from?: string | undefined;
  /** Labels of these backups, beside those of the source. */
  readonly tags?: Readonly<Record<string, string>> | undefined;
  /** Only look whether it could be done: the result then has `plan`, and no backup is made. */
  readonly dryRun?: boolean | undefined;
}

/** For {@link restoreBackup}. */
export interface RestoreOptions extends CallOptions {
  /**
   * An id, the beginning of one (4 digits or more), a time (the newest backup up to it), `latest` or `latest:SOURCE`.
   * Imported backups are found by their ids; by the others only where no other backup fits.
   */
  readonly id: string;
  /** Where to: `postgres://…/database`, a directory or a file, as the kind of backup asks for. */
  readonly to: string;
  /** Only a part: `table=schema.name`, `schema=name`, `database=name` or `path=…`. */
  readonly only?: string | readonly string[] | undefined;
  /** Put what is restored in the place of what is there; that is kept under another name. */
  readonly force?: boolean | undefined;
  /** Only plan: the result then has `restored: null`, and nothing is changed. */
  readonly dryRun?: boolean | undefined;
  /** False: things belong to whoever restores them. */
  readonly owner?: boolean | undefined;
  /** False: no grants. PostgreSQL only. */
  readonly privileges?: boolean | undefined;
  /** True: roles and tablespaces that are missing are made. PostgreSQL only. */
  readonly globals?: boolean | undefined;
  /** False: what was restored is not compared with the backup. */
  readonly check?: boolean | undefined;
}

/** For {@link listBackups}. */
export interface ListOptions extends CallOptions {
  /** Only those of this source. */
  readonly source?: string | undefined;
  /** Only those that have all of these. */
  readonly tags?: Readonly<Record<string, string>> | undefined;
  /** Only the newest so many. */
  readonly limit?: number | undefined;
}

/** For {@link cleanOldBackups}. */
export interface CleanOptions extends CallOptions {
  /** Only these sources; all that are configured unless given. */
  readonly source?: string | readonly string[] | undefined;
  /** Keep the newest so many of each source. Short for `retention: { keep_last }`. */
  readonly keep?: number | undefined;
  /** The rules, in the place of all that the configuration has; named as there. */
  readonly retention?: Settings['retention'];
  /** Only plan: the result then tells what would be forgotten, and nothing is changed. */
  readonly dryRun?: boolean | undefined;
}

/** For {@link verifyBackup}. */
export interface VerifyOptions extends CallOptions {
  /** Which backups, as for a restore; the whole repository unless given. */
  readonly id?: string | readonly string[] | undefined;
  /** Read and check every byte, not only that everything is there and fits together. */
  readonly readData?: boolean | undefined;
  /** Read a share of the packs chosen by chance, above 0 and at most 1. */
  readonly readDataSubset?: number | undefined;
}

/** What a method of an open repository takes: the call's own things. The rest was given when it was opened. */
export type Within<T extends CallOptions> = Omit<
  T,
  Exclude<keyof CallOptions, 'jobs' | 'signal' | 'onProgress' | 'onLog'>
>;

/** Something that can be ended. */
export interface SignalOption {
  readonly signal?: AbortSignal | undefined;
}
