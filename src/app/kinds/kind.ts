import type { SourceConfig } from '../../contract/config-source.ts';
import type { Manifest } from '../../contract/manifest.ts';
import type { Entry } from '../../contract/stream.ts';
import type { BackupSource } from '../../operations/contract.ts';
import type { Finding, RestoreContext } from '../../sources/port.ts';
import type { FilesRestored, FilesRestoreSummary } from '../../sources/files/restore/restore.ts';
import type {
  ClusterRestored,
  ClusterRestoreSummary,
} from '../../sources/postgres-cluster/restore/restore.ts';
import type { RestorePlanSummary } from '../../sources/postgres-logical/restore-options.ts';
import type { RestoreSummary } from '../../sources/postgres-logical/restore.ts';
import type { SqliteRestored, SqliteRestoreSummary } from '../../sources/sqlite/restore/restore.ts';
import type { App } from '../compose.ts';
import type { ClusterRecovery } from '../recovery.ts';

export type SourceType = SourceConfig['type'];
export type ConfigOf<T extends SourceType> = Extract<SourceConfig, { readonly type: T }>;

/** What a restore would do: of the shape of its kind. */
export type AnyRestorePlan =
  | RestorePlanSummary
  | ClusterRestoreSummary
  | SqliteRestoreSummary
  | FilesRestoreSummary;
/** What was restored. */
export type AnyRestored = RestoreSummary | ClusterRestored | SqliteRestored | FilesRestored;

/** How to restore, as every kind understands it; what it does not know it refuses. */
export interface RestoreWish {
  readonly to: string;
  readonly only: readonly string[];
  readonly owner: boolean;
  readonly privileges: boolean;
  readonly globals: boolean;
  readonly check: boolean;
  readonly force: boolean;
  /** How a cluster is to recover; null for every other kind of backup. */
  readonly recovery: ClusterRecovery | null;
}

export interface PlannedRestore {
  readonly summary: AnyRestorePlan;
  readonly needs: (entry: Entry) => boolean;
  run(context: RestoreContext): Promise<AnyRestored>;
}

/** A kind of backups that can be restored, whether or not it can be taken of a source. */
export type RestorableKind = Pick<SourceKind<SourceType>, 'planRestore'>;

/** One kind of source, wired to the settings, the environment and the directories of this machine. */
export interface SourceKind<T extends SourceType> {
  /** Prepares a source without touching it. Throws what is wrong with its settings. */
  prepare(app: App, name: string, config: ConfigOf<T>): Promise<BackupSource>;
  /** Looks whether it could be backed up. */
  check(app: App, name: string, config: ConfigOf<T>): Promise<readonly Finding[]>;
  /** Plans the way back; refuses what cannot go well. Changes nothing. */
  planRestore(
    app: App,
    manifest: Manifest,
    wish: RestoreWish,
    context: RestoreContext,
  ): Promise<PlannedRestore>;
}
