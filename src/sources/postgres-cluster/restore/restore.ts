import type { Entry } from '../../../contract/stream.ts';
import type { RestoreContext } from '../../port.ts';
import { entryKinds } from '../metadata.ts';
import type { ClusterRestoreOptions, RecoverySettings } from './options.ts';
import { type ClusterRestoreMode, type ClusterRestoreWork, makePlan } from './plan.ts';
import { runWork } from './run.ts';
import type { Started } from './start.ts';

/** A tablespace outside of the data directory: where it was, and where it goes. */
export interface TablespaceSummary {
  readonly oid: number;
  readonly original: string;
  readonly location: string;
}

/** What a restore would do, as plain data. */
export interface ClusterRestoreSummary {
  readonly kind: 'postgres-cluster';
  /** `create`: the target is new or empty. `delta`: it is changed into what the backup has. `replace`: what is there is kept aside. */
  readonly mode: ClusterRestoreMode;
  readonly target: string;
  readonly files: number;
  readonly bytes: number;
  /** Files that are not in the backup and will be removed; 0 but for `delta`. */
  readonly removes: number;
  readonly tablespaces: readonly TablespaceSummary[];
  readonly recovery: RecoverySettings;
  readonly warnings: readonly string[];
  /** What is worth knowing, for people. */
  readonly notes: readonly string[];
}

export interface ClusterRestorePlan {
  readonly summary: ClusterRestoreSummary;
  /** Streams that have to be good before anything that is there is changed. */
  readonly needs: (entry: Entry) => boolean;
  readonly work: ClusterRestoreWork;
}

/** What was restored. */
export interface ClusterRestored {
  readonly kind: 'postgres-cluster';
  readonly target: string;
  readonly mode: ClusterRestoreMode;
  readonly files: number;
  readonly bytes: number;
  /** Bytes that were written. */
  readonly written: number;
  /** Files of which nothing had to be written. */
  readonly kept: number;
  /** Files that were not in the backup and were removed. */
  readonly removed: number;
  /** Where what was there before is kept: the data directory first, then parts of tablespaces. */
  readonly replaced: readonly string[];
  readonly tablespaces: readonly TablespaceSummary[];
  /** What was written into `postgresql.auto.conf`, by name. */
  readonly settings: Readonly<Record<string, string>>;
  readonly notes: readonly string[];
  readonly warnings: readonly string[];
  /** How far its server came, when it was to be started; null when not. */
  readonly started: Started | null;
  readonly duration_ms: number;
}

/** Plans a restore; refuses what cannot go well. Changes nothing. */
export async function planClusterRestore(
  options: ClusterRestoreOptions,
  context: RestoreContext,
): Promise<ClusterRestorePlan> {
  const { work, removes, warnings } = await makePlan(options, context);
  const { mode, target, survey, tablespaces } = work;
  return {
    summary: {
      kind: 'postgres-cluster',
      mode,
      target: target.path,
      files: survey.files,
      bytes: survey.bytes,
      removes,
      tablespaces: tablespaces.map(({ placed }) => placed),
      recovery: options.recovery,
      warnings,
      notes: [],
    },
    // Where nothing was there before, nothing is lost by coming upon damage in the middle.
    needs: ({ kind, stream }) => mode !== 'create' && stream !== null && kind !== entryKinds.stamps,
    work,
  };
}

/**
 * Does what a plan says. When it rejects, what is in the target cannot be started, and the same restore with `delta` goes on
 * where it stopped.
 */
export async function runClusterRestore(
  { summary, work }: ClusterRestorePlan,
  context: RestoreContext,
): Promise<ClusterRestored> {
  context.signal.throwIfAborted();
  const startedMs = work.options.now();
  context.progress.total(summary.bytes);
  const result = await runWork(work, context);
  const { mode, target, files, bytes, tablespaces, warnings, notes } = summary;
  return {
    kind: 'postgres-cluster',
    target,
    mode,
    files,
    bytes,
    tablespaces,
    warnings,
    ...result,
    notes: [...result.notes, ...notes],
    started: null,
    duration_ms: work.options.now() - startedMs,
  };
}
