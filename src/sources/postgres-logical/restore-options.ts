import type { ConnectionParameters, Environment } from '../../postgres/connection/connection.ts';
import type { MergedArchive } from './archive/merge.ts';
import type { TocEntry } from './archive/toc.ts';
import type { DatabaseMetadata, PostgresMetadata } from './metadata.ts';
import type { Widen } from '../../postgres/stdio-buffers.ts';
import type { Tools } from '../../postgres/tools.ts';

/** One thing to restore instead of the whole database. */
export type Selector =
  | { readonly kind: 'table'; readonly schema: string | undefined; readonly table: string }
  | { readonly kind: 'schema'; readonly schema: string };

export interface PostgresRestoreOptions {
  /** Where to; its database is the name wanted in the end. */
  readonly target: ConnectionParameters;
  /** Which database of the backup; needed when it holds several and none is called as the target. */
  readonly database?: string | undefined;
  /** Nothing: the whole database. */
  readonly only?: readonly Selector[] | undefined;
  /** Objects belong to the user that restores. */
  readonly noOwner?: boolean | undefined;
  /** Without GRANT and REVOKE. */
  readonly noPrivileges?: boolean | undefined;
  /** Make the missing roles first. Existing ones are compared, never changed. */
  readonly globals?: boolean | undefined;
  /**
   * Restore to an older server all the same; and put the restored database in the place of one that is not empty, which
   * is kept under another name.
   */
  readonly force?: boolean | undefined;
  /** Compare every restored table with the backup. Default true. */
  readonly check?: boolean | undefined;
  /** Where to connect for CREATE DATABASE; default `postgres`, then `template1`. */
  readonly maintenanceDatabase?: string | undefined;
  readonly toolsDirectory?: string | undefined;
  /** For small files that pg_restore needs (tables of contents, lists). */
  readonly temporaryDirectory: string;
  /** Lower-case hexadecimal digits, two a byte, not guessable. */
  readonly randomHex: (bytes: number) => string;
  readonly env: Environment;
}

/**
 * `create`: a new database, made under a temporary name.
 * `replace`: the same, and the existing one is renamed away at the end.
 * `fill`: into an existing empty database, in one transaction.
 * `add`: selected objects into an existing database, in one transaction.
 */
export type RestoreMode = 'create' | 'replace' | 'fill' | 'add';

export interface PlannedTable {
  readonly schema: string;
  readonly table: string;
  readonly rows: number;
  readonly bytes: number;
}

/** What a restore would do, as plain data: for `--dry-run`, the dashboard and the question before it starts. */
export interface RestorePlanSummary {
  readonly mode: RestoreMode;
  readonly database: string;
  readonly target: string;
  readonly server: string;
  readonly source_version: string;
  readonly server_version: string;
  readonly tables: readonly PlannedTable[];
  readonly rows: number;
  readonly bytes: number;
  readonly objects: number;
  readonly roles_to_create: readonly string[];
  readonly check: boolean;
  readonly warnings: readonly string[];
}

export interface RestorePlan {
  readonly summary: RestorePlanSummary;
  /** Everything `runRestore` needs to do exactly that. */
  readonly work: RestoreWork;
}

export interface RestoreWork {
  readonly options: PostgresRestoreOptions;
  readonly metadata: PostgresMetadata;
  readonly database: DatabaseMetadata;
  readonly archive: MergedArchive;
  /** Entries to restore, in the order of the table of contents. */
  readonly entries: readonly TocEntry[];
  readonly tools: Tools;
  readonly widen: Widen;
  readonly targetMajor: number;
  readonly withoutTablespaces: boolean;
  /** SQL of roles and tablespaces; undefined when they are not restored. */
  readonly globals: string | undefined;
}
