import { parseSpan } from '../contract/calendar-span.ts';
import { failure, isFailure } from '../kernel/errors/failure.ts';
import { plural } from '../kernel/plural.ts';
import { findForgotten, undoForget } from '../operations/forget-undo.ts';
import { findLost, forgetLost, type LostBackup } from '../operations/forget-lost.ts';
import { forgetBackups, type ToForget } from '../operations/forget.ts';
import { walWindowBases, type WalBackup } from '../policy/wal-window.ts';
import type { RetentionBackup } from '../policy/retention/model.ts';
import { pinnedIds } from '../repository/history/pins.ts';
import type { Repository } from '../repository/repository.ts';
import { readInventory, timelinesFor, type Inventory } from './clean-inventory.ts';
import { calendarZone, walWindow } from './clean-policy.ts';
import { tellLocked } from './locked.ts';
import {
  historyMemory,
  openConfiguredRepository,
  withApp,
  type App,
  type AppContext,
  type CommonOptions,
  type Outcome,
} from './compose.ts';

export interface ForgetOptions extends CommonOptions {
  /** Of each an id, a prefix of one, a time, `latest` or `latest:SOURCE`; of one that cannot be read the full id. */
  readonly ids: readonly string[];
  /** Bring back what was forgotten; `ids` are then ids or prefixes of them. */
  readonly undo?: boolean | undefined;
  /** Also the last good backup of a source, and what recovery within the window of `keep_wal` begins with. */
  readonly force?: boolean | undefined;
  readonly dryRun?: boolean | undefined;
  /** Answer yes where a question would be asked. */
  readonly yes?: boolean | undefined;
}

export interface NamedBackup {
  readonly id: string;
  /** Null when its manifest cannot be read. */
  readonly source: string | null;
  readonly started_at: string;
}

export interface ForgetResult extends Outcome {
  readonly dry_run: boolean;
  readonly repository: { readonly id: string; readonly location: string };
  /** What was forgotten, or would be. */
  readonly forgotten: readonly NamedBackup[];
  /** What was brought back, or would be. */
  readonly brought_back: readonly NamedBackup[];
}

/**
 * Forgets single backups, whatever the policies say, or brings them back. Refuses what is pinned (`forget_pinned`), and
 * unless forced what leaves no good backup of a source (`forget_last_good`) or a hole in the window of recovery
 * (`forget_window`).
 */
export async function forget(options: ForgetOptions, context: AppContext): Promise<ForgetResult> {
  const touched = ({ forgotten, brought_back: back }: ForgetResult) =>
    [...forgotten, ...back].map(({ id }) => id);
  const name = options.undo === true ? 'forget --undo' : 'forget';
  return withApp(options, context, options.dryRun === true ? null : { name, touched }, async (app) => {
    await using repository = await openConfiguredRepository(app);
    using progress = app.observer.progress(name);
    const work = options.undo === true ? bringBack : forgetThem;
    const { forgotten = [], back = [] } = await work(app, repository, options, progress);
    return {
      schema: 1,
      ok: true,
      dry_run: options.dryRun === true,
      repository: { id: repository.info.id, location: repository.storage.location },
      forgotten,
      brought_back: back,
    };
  });
}

type Progress = Parameters<typeof forgetBackups>[2]['progress'];

interface Done {
  readonly forgotten?: readonly NamedBackup[];
  readonly back?: readonly NamedBackup[];
}

async function forgetThem(
  app: App,
  repository: Repository,
  options: ForgetOptions,
  progress: Progress,
): Promise<Done> {
  progress.phase('reading the list of backups');
  const inventory = await readInventory(repository, app.signal);
  const gone = await resolveGone(app, repository, inventory, options.ids);
  if (gone !== undefined) return await giveUp(app, repository, gone, options);
  const going = await resolve(repository, inventory, options.ids, app.signal);
  const chosen = new Set(going.map(({ name }) => name.id as string));
  await refusePinned(repository, going, app.signal);
  if (options.force !== true) {
    refuseLastGood(inventory, chosen);
    await refuseWindow(app, repository, inventory, chosen);
  }
  const forgotten = going.map(({ name, source }) => ({
    id: name.id,
    source,
    started_at: new Date(name.startedAtMs).toISOString(),
  }));
  if (options.dryRun === true) return { forgotten };
  await agree(app, options, forgotten);
  const { signal, log, machine } = app;
  const { clock, host, user } = machine;
  const mustStay = options.force === true ? [] : goodBeside(inventory, chosen).map(({ id }) => id);
  const reason = options.force === true ? 'forget --force' : 'forget';
  const done = await forgetBackups(repository, going, {
    signal,
    log,
    progress,
    clock,
    host,
    user,
    reason,
    mustStay,
  });
  const [first] = done.locked;
  if (first !== undefined && done.backups.length === 0) throw first.error;
  tellLocked(app, done.locked);
  return { forgotten: forgotten.filter(({ id }) => !done.locked.some((one) => one.id === id)) };
}

/** The one id that is given, when it is the full id of a backup that is not there and that something tells was. */
async function resolveGone(
  app: App,
  repository: Repository,
  { names }: Inventory,
  ids: readonly string[],
): Promise<LostBackup | undefined> {
  const [id, second] = ids;
  if (id === undefined || second !== undefined || names.has(id)) return undefined;
  if (!/^[0-9a-f]{32}$/.test(id)) return undefined;
  const memory = await historyMemory(app, repository.info.id, repository.storage.location);
  return await findLost(repository, id, memory.points, app.log, app.signal);
}

/** Says so of a backup whose manifest is gone for good: verify and prune miss it no longer. */
async function giveUp(
  app: App,
  repository: Repository,
  lost: LostBackup,
  options: ForgetOptions,
): Promise<Done> {
  const { signal, machine, asker, observer } = app;
  const started_at = new Date(lost.startedAtMs ?? machine.clock.now()).toISOString();
  const forgotten = [{ id: lost.id, source: null, started_at }];
  const words = `the manifest of backup ${lost.id} is gone (${lost.toldBy} tells that it was there): what only that backup needed is given up, and --undo cannot bring it back; a copy may have it: holdfast verify --repair`;
  if (options.dryRun === true) {
    observer.notice({ level: 'warning', message: words });
    return { forgotten };
  }
  if ((await pinnedIds(repository, signal)).has(lost.id))
    throw failure('forget_pinned', { id: lost.id.slice(0, 8), source: 'an unknown source' });
  if (options.yes !== true && asker !== null) {
    if (!(await asker.confirm(`${words}. Forget it?`)))
      throw failure('declined', { what: 'no backup was forgotten' });
  } else observer.notice({ level: 'warning', message: words });
  const { clock, host, user } = machine;
  await forgetLost(repository, lost, { clock, host, user, signal });
  return { forgotten };
}

/** One of those that cannot be read is meant only by its full id. */
async function resolve(
  repository: Repository,
  { names, backups }: Inventory,
  ids: readonly string[],
  signal: AbortSignal,
): Promise<ToForget[]> {
  const found = new Map<string, ToForget>();
  for (const reference of ids) {
    const id = await repository.find(reference, { signal }).then(
      (manifest) => manifest.id,
      (error: unknown) => {
        if (isFailure(error, 'object_damaged') && names.has(reference)) return reference;
        throw error;
      },
    );
    const name = names.get(id);
    if (name === undefined) throw failure('backup_unknown', { reference, known: '' });
    const source = backups.find((backup) => backup.id === id)?.source ?? null;
    found.set(id, { name, source, why: ['forgotten by its id'] });
  }
  return [...found.values()];
}

async function refusePinned(
  repository: Repository,
  going: readonly ToForget[],
  signal: AbortSignal,
): Promise<void> {
  const pinned = await pinnedIds(repository, signal);
  const first = going.find(({ name }) => pinned.has(name.id));
  if (first === undefined) return;
  const { name, source } = first;
  throw failure('forget_pinned', {
    id: name.id.slice(0, 8),
    source: source ?? 'an unknown source',
  });
}

/** Good ones of the same sources that stay. */
function goodBeside({ backups }: Inventory, chosen: ReadonlySet<string>): RetentionBackup[] {
  const sources = new Set(backups.filter(({ id }) => chosen.has(id)).map(({ source }) => source));
  return backups.filter((backup) => isGood(backup) && sources.has(backup.source) && !chosen.has(backup.id));
}

function isGood({ incomplete, imported }: RetentionBackup): boolean {
  return !incomplete && !imported;
}

function refuseLastGood(inventory: Inventory, chosen: ReadonlySet<string>): void {
  const left = new Set(goodBeside(inventory, chosen).map(({ source }) => source));
  const last = inventory.backups.findLast(
    (backup) => chosen.has(backup.id) && isGood(backup) && !left.has(backup.source),
  );
  if (last !== undefined) throw failure('forget_last_good', { id: last.id.slice(0, 8), source: last.source });
}

/** Of clusters, a backup that recovery within the window of `keep_wal` begins with. */
async function refuseWindow(
  app: App,
  repository: Repository,
  { backups }: Inventory,
  chosen: ReadonlySet<string>,
): Promise<void> {
  const sources = new Set(
    backups.filter(({ id, wal }) => wal !== null && chosen.has(id)).map((b) => b.source),
  );
  for (const source of sources) {
    const window = walWindow(app, source);
    const span = window === undefined ? '' : parseSpan(window);
    if (window === undefined || typeof span === 'string') continue;
    const own = backups.filter((backup) => backup.source === source);
    const placed = new Map<WalBackup, RetentionBackup>(
      own.flatMap((backup) => (backup.wal === null ? [] : [[backup.wal, backup] as const])),
    );
    const timelines = await timelinesFor(repository, own, app.signal);
    const windowStartMs = calendarZone(app).before(app.machine.clock.now(), span);
    const bases = walWindowBases([...placed.keys()], timelines, windowStartMs);
    const needed = [...bases]
      .map((base) => placed.get(base))
      .find((one) => one !== undefined && chosen.has(one.id));
    if (needed !== undefined) throw failure('forget_window', { id: needed.id.slice(0, 8), source, window });
  }
}

async function agree(app: App, { yes }: ForgetOptions, backups: readonly NamedBackup[]): Promise<void> {
  if (yes === true || app.asker === null) return;
  const list = backups
    .slice(0, 5)
    .map(({ id, source }) => `${id.slice(0, 8)} of ${source ?? 'an unknown source'}`);
  const more = backups.length > list.length ? ` and ${backups.length - list.length} more` : '';
  const question = `Forget ${plural(backups.length, 'backup')} (${list.join(', ')}${more})? --undo brings them back until a prune.`;
  if (!(await app.asker.confirm(question))) throw failure('declined', { what: 'no backup was forgotten' });
}

async function bringBack(
  app: App,
  repository: Repository,
  { ids, dryRun }: ForgetOptions,
  progress: Progress,
): Promise<Done> {
  const names = [];
  for (const id of ids) names.push(await findForgotten(repository, id, app.signal));
  const back: NamedBackup[] = [];
  for (const name of names) {
    const { signal, log } = app;
    const manifest = await undoForget(repository, name, { signal, log, progress, dryRun: dryRun === true });
    back.push({ id: manifest.id, source: manifest.source.name, started_at: manifest.started_at });
  }
  return { back };
}
