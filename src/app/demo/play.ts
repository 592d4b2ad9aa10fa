import { rm } from 'node:fs/promises';
import type { BackupView } from '../backup-view.ts';
import type { AppContext, CommonOptions } from '../compose.ts';
import { playCluster } from './cluster-act.ts';
import { compare, type Comparison } from './compare.ts';
import { takeInventory, totalRows } from './portrait.ts';
import { takePortraits, type Portraits } from './portraits.ts';
import { proofOf } from './proof.ts';
import type { Recovered } from './recovered.ts';
import { disasterStatement, Sessions } from './sessions.ts';
import { businessDay, disasterSql, openShop, tamperSql } from './shop.ts';
import { takeSqlitePortrait } from './sqlite-portrait.ts';
import type { Stage } from './stage.ts';
import { Steps, statements, typed } from './steps.ts';
import type { BackedUp, DemoEvent, StepResults } from './story.ts';
import { takeTreePortrait } from './tree-portrait.ts';
import { openUploads, tamperCommands, tamperUploads, uploadsDay } from './uploads.ts';
import { User } from './user.ts';

export interface PlayOptions {
  readonly common: CommonOptions;
  /** Change one row and one byte of what came back, which the proof must notice. */
  readonly tamper: boolean;
  readonly tell: (event: DemoEvent) => void;
}

export interface Played {
  readonly backups: readonly BackupView[];
  readonly percentOfFirst: number;
  readonly comparisons: readonly Comparison[];
}

/** Both acts. */
export interface PlayedAll extends Played {
  /** The moment before a table was dropped. */
  readonly moment: string;
}

/** What the service is made of; the cluster as a whole has an act of its own. */
const serviceSources = ['shop', 'sessions', 'uploads'] as const;
const backupCommand = `holdfast backup ${serviceSources.join(' ')}`;

/** Plays all steps. What a user would type runs through the use case of that command. */
export async function play(
  stage: Stage,
  recovered: Recovered,
  options: PlayOptions,
  context: AppContext,
): Promise<PlayedAll> {
  const user = new User(stage, options.common, context);
  const steps = new Steps(context, options.tell);
  const service = await playService(new Scenes({ stage, user, steps }, options, context));
  const { tamper } = options;
  const cluster = await playCluster({ stage, user, steps, recovered, tamper }, context);
  return {
    backups: [...service.backups, cluster.backup],
    percentOfFirst: service.percentOfFirst,
    comparisons: [...service.comparisons, ...cluster.comparisons],
    moment: cluster.moment,
  };
}

/** The first act: what a service needs is backed up, lost and restored. */
async function playService(opened: Scenes): Promise<Played> {
  using scenes = opened;
  await scenes.openShop();
  await scenes.makeRepository();
  const first = await scenes.firstBackup();
  await scenes.businessDay();
  const second = await scenes.secondBackup(first);
  const before = await scenes.portraits();
  await scenes.disaster(before);
  await scenes.restore();
  const comparisons = await scenes.prove(before);
  return {
    backups: [...first.backups, ...second.backups],
    percentOfFirst: second.percent_of_first,
    comparisons,
  };
}

class Scenes implements Disposable {
  readonly #stage: Stage;
  readonly #options: PlayOptions;
  readonly #context: AppContext;
  readonly #user: User;
  readonly #steps: Steps;
  readonly #sessions: Sessions;

  constructor(
    { stage, user, steps }: { readonly stage: Stage; readonly user: User; readonly steps: Steps },
    options: PlayOptions,
    context: AppContext,
  ) {
    this.#stage = stage;
    this.#options = options;
    this.#context = context;
    this.#user = user;
    this.#steps = steps;
    this.#sessions = new Sessions(stage.sessions);
  }

  [Symbol.dispose](): void {
    this.#sessions[Symbol.dispose]();
  }

  openShop(): Promise<StepResults['shop']> {
    return this.#steps.step('shop', [], async () => {
      const { server, sessions, uploads } = this.#stage;
      const [size] = await Promise.all([openShop(server), openUploads(uploads)]);
      this.#sessions.fill();
      const inventory = await takeInventory(server);
      const sqlite = takeSqlitePortrait(sessions);
      const tree = await takeTreePortrait(uploads, this.#context.signal);
      return {
        tables: inventory.tables.size,
        rows: totalRows(inventory),
        size,
        sessions: { tables: sqlite.tables.size, rows: totalRows(sqlite), size: sqlite.size },
        uploads: tree.size,
      };
    });
  }

  makeRepository(): Promise<StepResults['init']> {
    return this.#steps.step('init', typed('holdfast init'), async () => {
      const { repository, key_file, recovery_kit } = await this.#user.init();
      return { location: repository.location, key_file, recovery_kit };
    });
  }

  firstBackup(): Promise<StepResults['first_backup']> {
    return this.#steps.step('first_backup', typed(backupCommand), () => this.#backUp());
  }

  businessDay(): Promise<StepResults['business_day']> {
    return this.#steps.step('business_day', [], async () => ({
      ...(await businessDay(this.#stage.server)),
      sessions: { rows_changed: this.#sessions.businessDay() },
      uploads: await uploadsDay(this.#stage.uploads),
    }));
  }

  secondBackup(first: BackedUp): Promise<StepResults['second_backup']> {
    return this.#steps.step('second_backup', typed(backupCommand), async () => {
      const second = await this.#backUp();
      return { ...second, percent_of_first: (100 * bytesAdded(second)) / bytesAdded(first) };
    });
  }

  /** Of all that the service is made of, as it is now. */
  portraits(): Promise<Portraits> {
    return takePortraits(this.#stage, this.#context.signal);
  }

  disaster(before: Portraits): Promise<StepResults['disaster']> {
    const commands = typed(`sqlite3 data/sessions.db '${disasterStatement}'`, 'rm -rf uploads');
    return this.#steps.step('disaster', [...statements(...disasterSql), ...commands], async () => {
      const { server, sessions, uploads } = this.#stage;
      await server.psql(disasterSql.join(' '), 'shop');
      this.#sessions.disaster();
      // The application has been stopped.
      this.#sessions[Symbol.dispose]();
      await rm(uploads, { recursive: true });
      const after = await takeInventory(server);
      const overwritten = [...after.tables].filter(
        ([name, { fingerprint }]) => before.shop.tables.get(name)?.fingerprint !== fingerprint,
      );
      return {
        tables_lost: before.shop.tables.size - after.tables.size,
        rows_lost: totalRows(before.shop) - totalRows(after),
        rows_overwritten: overwritten.reduce((sum, [, { rows }]) => sum + rows, 0),
        sessions: { rows_lost: totalRows(before.sessions) - totalRows(takeSqlitePortrait(sessions)) },
        uploads: { files_lost: before.uploads.size.files },
      };
    });
  }

  restore(): Promise<StepResults['restore']> {
    const commands = typed(
      'holdfast restore latest:shop --to "$DATABASE_URL" --force',
      'holdfast restore latest:sessions --to data/sessions.db --force',
      'holdfast restore latest:uploads --to uploads',
    );
    return this.#steps.step('restore', commands, async () => ({
      shop: await this.#user.restoreShop(this.#stage.url),
      sessions: await this.#user.restoreSessions('data/sessions.db'),
      uploads: await this.#user.restoreUploads('uploads'),
    }));
  }

  async prove(before: Portraits): Promise<readonly Comparison[]> {
    let comparisons: readonly Comparison[] = [];
    const { server, uploads } = this.#stage;
    const tampering = this.#options.tamper
      ? [...statements(tamperSql), ...typed(...(await tamperCommands(uploads)))]
      : [];
    await this.#steps.step('proof', tampering, async () => {
      if (this.#options.tamper) {
        await server.psql(tamperSql, 'shop');
        await tamperUploads(uploads);
      }
      const after = await this.portraits();
      comparisons = compare(before, after);
      return proofOf(before, comparisons);
    });
    return comparisons;
  }

  /** All sources, while the application goes on writing. */
  async #backUp(): Promise<BackedUp> {
    using meanwhile = this.#sessions.writeMeanwhile();
    const backups = await this.#user.backUp(serviceSources);
    return { backups, rows_uncommitted: meanwhile.rows };
  }
}

function bytesAdded({ backups }: BackedUp): number {
  return backups.reduce((sum, { bytes_added }) => sum + bytes_added, 0);
}
