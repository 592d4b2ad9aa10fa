import { failure } from '../../kernel/errors/failure.ts';
import type { BackupView } from '../backup-view.ts';
import type { AppContext, CommonOptions, Outcome } from '../compose.ts';
import type { Comparison } from './compare.ts';
import { keepStage, type Kept } from './keep.ts';
import { play } from './play.ts';
import { Recovered } from './recovered.ts';
import { setStage } from './stage.ts';
import type { DemoEvent } from './story.ts';

export interface DemoOptions extends CommonOptions {
  /** Keep the servers and the repository for playing. */
  readonly keep: boolean;
  /** Change a row in each server and a byte of a file of what came back before it is compared: the proofs must fail. */
  readonly tamper: boolean;
  /** Called as the story goes on. */
  readonly tell: (event: DemoEvent) => void;
}

export interface DemoResult extends Outcome {
  readonly comparisons: readonly Comparison[];
  /** Of the service's sources the first ones, then the second ones; and the cluster's. */
  readonly backups: readonly BackupView[];
  /** What the second backups stored, in percent of what the first ones stored. */
  readonly second_backup_percent: number;
  readonly duration_ms: number;
  /** What is left for playing; null when everything was removed. */
  readonly kept: Kept | null;
}

/**
 * Shows on a server and in a directory of its own what a user would do: init, backup, change, backup, disaster,
 * restore; then stream and back up the whole server, lose a table, and go back to the moment before. It proves that what
 * came back is what was there. `ok` only if every comparison held. Without `keep`
 * nothing is left, however it ends.
 */
export async function demo(options: DemoOptions, context: AppContext): Promise<DemoResult> {
  if (options.repo !== undefined || options.config !== undefined) {
    throw failure('usage', {
      reason: 'the demo makes a repository and settings of its own',
      suggestion: 'leave --repo and --config out',
    });
  }
  const { clock } = context.machine;
  const startedNs = clock.monotonicNs();
  await using stage = await setStage(context);
  const { directory, server, tools } = stage;
  const { keep, tamper, tell, ...common } = options;
  tell({ type: 'demo', directory, postgres: server.major, port: server.port, pg_dump: tools.version });
  await using recovered = new Recovered(stage);
  const { comparisons, backups, percentOfFirst, moment } = await play(
    stage,
    recovered,
    { common, tamper, tell },
    context,
  );
  context.signal.throwIfAborted();
  const error = notProven(comparisons);
  return {
    schema: 1,
    ok: error === undefined,
    ...(error === undefined ? {} : { error: error.toJSON() }),
    comparisons,
    backups,
    second_backup_percent: percentOfFirst,
    duration_ms: Number((clock.monotonicNs() - startedNs) / 1_000_000n),
    kept: keep ? await keepStage(stage, recovered, moment) : null,
  };
}

function notProven(comparisons: readonly Comparison[]) {
  const names = comparisons.filter(({ equal }) => !equal).map(({ what, name }) => `${what} ${name}`);
  if (names.length === 0) return undefined;
  const more = names.length > 5 ? ` and ${names.length - 5} more` : '';
  return failure('demo_not_proven', {
    count: names.length,
    total: comparisons.length,
    names: names.slice(0, 5).join(', ') + more,
  });
}
