import type { ErrorName } from '../../kernel/errors/catalogue.ts';
import { failure, HoldfastError } from '../../kernel/errors/failure.ts';
import { backup } from '../backup.ts';
import type { BackupView } from '../backup-view.ts';
import type { AppContext, CommonOptions } from '../compose.ts';
import { init } from '../init.ts';
import { isPostgres, restore } from '../restore.ts';
import { compare, type Comparison } from './compare.ts';
import { takeInventory, takePortrait, totalRows, type Inventory, type Portrait } from './portrait.ts';
import { businessDay, disasterSql, openShop, tamperSql } from './shop.ts';
import type { Stage } from './stage.ts';
import type { DemoEvent, ProvenTable, StepDone, StepName, StepResults } from './story.ts';

export interface PlayOptions {
  readonly common: CommonOptions;
  /** Change one row of what came back, which the proof must notice. */
  readonly tamper: boolean;
  readonly tell: (event: DemoEvent) => void;
}

export interface Played {
  readonly backups: readonly BackupView[];
  readonly percentOfFirst: number;
  readonly comparisons: readonly Comparison[];
}

/** Plays all steps. What a user would type runs through the use case of that command. */
export async function play(stage: Stage, options: PlayOptions, context: AppContext): Promise<Played> {
  const scenes = new Scenes(stage, options, context);
  await scenes.openShop();
  await scenes.makeRepository();
  const first = await scenes.firstBackup();
  await scenes.businessDay();
  const second = await scenes.secondBackup(first.backup);
  const before = await takePortrait(stage, context.signal);
  await scenes.disaster(before);
  await scenes.restore();
  const comparisons = await scenes.prove(before);
  return { backups: [first.backup, second.backup], percentOfFirst: second.percent_of_first, comparisons };
}

class Scenes {
  readonly #stage: Stage;
  readonly #options: PlayOptions;
  readonly #context: AppContext;

  constructor(stage: Stage, options: PlayOptions, context: AppContext) {
    this.#stage = stage;
    this.#options = options;
    this.#context = context;
  }

  openShop(): Promise<StepResults['shop']> {
    return this.#step('shop', {}, async () => {
      const size = await openShop(this.#stage.server);
      const inventory = await takeInventory(this.#stage.server);
      return { tables: inventory.tables.size, rows: totalRows(inventory), size };
    });
  }

  makeRepository(): Promise<StepResults['init']> {
    return this.#step('init', { command: 'holdfast init' }, async () => {
      // Where the key is kept is part of the story, and no warning.
      const { repository, key_file, recovery_kit } = await init(
        this.#options.common,
        this.#asUser(() => {}),
      );
      return { location: repository.location, key_file, recovery_kit };
    });
  }

  firstBackup(): Promise<StepResults['first_backup']> {
    return this.#step('first_backup', { command: 'holdfast backup' }, async () => ({
      backup: await this.#backUp(),
    }));
  }

  businessDay(): Promise<StepResults['business_day']> {
    return this.#step('business_day', {}, () => businessDay(this.#stage.server));
  }

  secondBackup(first: BackupView): Promise<StepResults['second_backup']> {
    return this.#step('second_backup', { command: 'holdfast backup' }, async () => {
      const view = await this.#backUp();
      return { backup: view, percent_of_first: (100 * view.bytes_added) / first.bytes_added };
    });
  }

  disaster(before: Inventory): Promise<StepResults['disaster']> {
    return this.#step('disaster', { sql: disasterSql }, async () => {
      await this.#stage.server.psql(disasterSql.join(' '), 'shop');
      const after = await takeInventory(this.#stage.server);
      const overwritten = [...after.tables].filter(
        ([name, { fingerprint }]) => before.tables.get(name)?.fingerprint !== fingerprint,
      );
      return {
        tables_lost: before.tables.size - after.tables.size,
        rows_lost: totalRows(before) - totalRows(after),
        rows_overwritten: overwritten.reduce((sum, [, { rows }]) => sum + rows, 0),
      };
    });
  }

  restore(): Promise<StepResults['restore']> {
    const to = this.#stage.url;
    const command = `holdfast restore latest --to ${to} --force`;
    return this.#step('restore', { command }, async () => {
      const options = { ...this.#options.common, id: 'latest', to, force: true };
      const result = await restore(options, this.#asUser());
      const restored = isPostgres(result) ? result.restored : null;
      if (restored === null) throw failure('internal', { reason: 'a restore without a result' });
      const { tables, rows, bytes, replaced } = restored;
      return { tables, rows, bytes, replaced };
    });
  }

  async prove(before: Portrait): Promise<readonly Comparison[]> {
    let comparisons: readonly Comparison[] = [];
    const sql = this.#options.tamper ? [tamperSql] : [];
    await this.#step('proof', { sql }, async () => {
      for (const statement of sql) await this.#stage.server.psql(statement, 'shop');
      const after = await takePortrait(this.#stage, this.#context.signal);
      comparisons = compare(before, after);
      return {
        tables: provenTables(before, comparisons),
        sequences: { count: before.sequences.size, equal: allEqual(comparisons, /^sequence/) },
        dump: { bytes: before.dump.bytes, equal: allEqual(comparisons, /^pg_dump/) },
        comparisons: comparisons.length,
        equal: comparisons.filter(({ equal }) => equal).length,
      };
    });
    return comparisons;
  }

  /** Does one step, telling before and after. */
  async #step<S extends StepName>(
    step: S,
    { command = null, sql = [] }: { readonly command?: string | null; readonly sql?: readonly string[] },
    work: () => Promise<StepResults[S]>,
  ): Promise<StepResults[S]> {
    const { signal, machine } = this.#context;
    signal.throwIfAborted();
    this.#options.tell({ type: 'step', step, command, sql });
    const startedNs = machine.clock.monotonicNs();
    const result = await work();
    const duration_ms = Number((machine.clock.monotonicNs() - startedNs) / 1_000_000n);
    this.#options.tell({ type: 'step_done', step, duration_ms, ...result } as unknown as StepDone);
    return result;
  }

  async #backUp(): Promise<BackupView> {
    const { backups, failed } = await backup({ ...this.#options.common, sources: [] }, this.#asUser());
    const [view] = backups;
    if (view !== undefined) return view;
    const { name, message, hint } = failed[0]?.error ?? {};
    throw new HoldfastError(name as ErrorName, String(message), String(hint), {});
  }

  /** For one use case, as if its command were typed on the stage. Nobody is asked: the demo answers for itself. */
  #asUser(notice?: AppContext['observer']['notice']): AppContext {
    const { observer, signal } = this.#context;
    return {
      machine: this.#stage.machine,
      asker: null,
      signal,
      argv: ['demo'],
      observer: {
        colour: observer.colour,
        event: () => {},
        logLine: (text) => observer.logLine(text),
        notice: notice ?? ((told) => observer.notice(told)),
        progress: (title) => observer.progress(title),
      },
    };
  }
}

function allEqual(comparisons: readonly Comparison[], kind: RegExp): boolean {
  return comparisons.every(({ what, equal }) => equal || !kind.test(what));
}

function provenTables(before: Portrait, comparisons: readonly Comparison[]): ProvenTable[] {
  const unequal = new Set(comparisons.filter(({ equal }) => !equal).map(({ name }) => name));
  return [...before.tables].map(([name, content]) => ({ name, ...content, equal: !unequal.has(name) }));
}
