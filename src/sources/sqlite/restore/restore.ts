import type { Entry } from '../../../contract/stream.ts';
import type { RestoreContext } from '../../port.ts';
import { warningOf } from '../judge.ts';
import { Placing } from './place.ts';
import type { SqliteRestoreOptions } from './options.ts';
import { planRestore, type PlannedDatabase } from './plan.ts';
import { stageDatabase } from './stage.ts';

/** What a restore would do, as plain data. */
export interface SqliteRestoreSummary {
  readonly kind: 'sqlite';
  readonly target: string;
  readonly databases: readonly {
    /** Its path in the backup, and the file it is restored to. */
    readonly path: string;
    readonly file: string;
    readonly mode: 'create' | 'replace';
    readonly bytes: number;
  }[];
  readonly bytes: number;
  readonly warnings: readonly string[];
}

export interface SqliteRestorePlan {
  readonly summary: SqliteRestoreSummary;
  readonly needs: (entry: Entry) => boolean;
  readonly options: SqliteRestoreOptions;
  readonly databases: readonly PlannedDatabase[];
}

/** What was restored. */
export interface SqliteRestored {
  readonly databases: readonly {
    readonly file: string;
    readonly bytes: number;
    /** Where what was there before is kept; null when nothing was. */
    readonly replaced: string | null;
  }[];
  /** Databases examined and found whole. */
  readonly checked: number;
  readonly warnings: readonly string[];
}

/** Plans a restore; refuses what cannot go well. Changes nothing. */
export async function planSqliteRestore(
  options: SqliteRestoreOptions,
  context: RestoreContext,
): Promise<SqliteRestorePlan> {
  const { databases, warnings } = await planRestore(options, context);
  const needed = new Set(
    databases.flatMap(({ path, hashes }) => [path, ...(hashes === null ? [] : [hashes.path])]),
  );
  const summary: SqliteRestoreSummary = {
    kind: 'sqlite',
    target: options.target,
    databases: databases.map(({ path, file, mode, bytes }) => ({ path, file, mode, bytes })),
    bytes: databases.reduce((sum, { bytes }) => sum + bytes, 0),
    warnings,
  };
  return { summary, needs: ({ path }) => needed.has(path), options, databases };
}

/**
 * Does what a plan says: writes every database beside its place and checks it, and only then puts them in place, all or
 * none. When it rejects, every target is as it was; but for `sqlite_not_taken_back`, which says what is where.
 */
export async function runSqliteRestore(
  plan: SqliteRestorePlan,
  context: RestoreContext,
): Promise<SqliteRestored> {
  const { options, databases } = plan;
  const warnings: string[] = [];
  let checked = 0;
  context.progress.total(plan.summary.bytes);
  await using placing = new Placing(options);
  for (const database of databases) {
    context.progress.phase(`restoring ${database.path}`);
    const staged = await stageDatabase(database, placing, options, context);
    warnings.push(...staged.warnings);
    if (staged.isChecked) checked += 1;
  }
  context.signal.throwIfAborted();
  context.progress.phase('putting it in place');
  const { replaced, warnings: said } = await placing.placeAll(context);
  return {
    databases: databases.map(({ file, bytes }) => ({ file, bytes, replaced: replaced.get(file) ?? null })),
    checked,
    warnings: [...plan.summary.warnings, ...warnings, ...said.map(warningOf)],
  };
}
