import { asFailure, failure, isFailure } from '../kernel/errors/failure.ts';
import { plural } from '../kernel/plural.ts';
import type { SyncReport } from '../operations/sync/report.ts';
import { syncTo } from '../operations/sync/sync.ts';
import { readRepositoryInfo } from '../repository/info.ts';
import type { Repository } from '../repository/repository.ts';
import type { Storage } from '../storage/port.ts';
import { openStorageAt, type App } from './compose.ts';
import { FilledCopy } from './filled-copies.ts';
import { keptWal } from './kept-wal.ts';
import { appAt, type Place } from './places.ts';

/** What became of one copy. */
export interface CopyOutcome {
  /** As in the configuration; the location where it has no name. */
  readonly name: string;
  readonly location: string;
  /** Up to date: it has every backup that can be copied. */
  readonly ok: boolean;
  readonly duration_ms: number;
  readonly error?: Record<string, unknown> | undefined;
  /** Absent when it broke off: what was copied by then is there. */
  readonly report?: SyncReport | undefined;
}

/** Brings copies up to date, all at once. None stops another; what became of each is in the answer. */
export async function updateCopies(
  app: App,
  repository: Repository,
  places: readonly Place[],
  options: UpdateOptions = {},
): Promise<CopyOutcome[]> {
  return await Promise.all(places.map((place) => updateCopy(app, repository, place, options)));
}

export interface UpdateOptions {
  /** Fill copies that were filled before and are empty now. */
  readonly anew?: boolean | undefined;
}

async function updateCopy(
  app: App,
  repository: Repository,
  place: Place,
  { anew = false }: UpdateOptions,
): Promise<CopyOutcome> {
  const { clock } = app.machine;
  const { name, location } = place;
  const startedMs = clock.now();
  const facts = { name, location };
  using progress = app.observer.progress(`sync ${name}`);
  try {
    const filled = new FilledCopy(app, repository.info.id, place);
    const storage = await openPlace(app, location, anew ? undefined : filled);
    const report = await syncTo(repository, storage, {
      signal: app.signal,
      log: app.log,
      progress,
      // What a prune there has removed by a shorter window is not sent again.
      keptWal: (copy) => keptWal(appAt(app, place), copy),
    });
    await filled.remember();
    const [first] = report.problems;
    for (const problem of report.problems)
      app.observer.notice({ level: 'warning', message: `${name}: ${problem.message}` });
    tellOfOnlyThere(app, repository, name, report);
    for (const key of report.foreign_keys)
      app.observer.notice({
        level: 'warning',
        message: `${name}: key ${key} opens this copy and not the repository it is of`,
        hint: `if it was removed on purpose: holdfast key remove ${key} --repo ${name}`,
      });
    return {
      ...facts,
      ok: first === undefined,
      duration_ms: clock.now() - startedMs,
      ...(first === undefined ? {} : { error: { ...first } }),
      report,
    };
  } catch (error) {
    app.signal.throwIfAborted();
    const known = asFailure(error);
    app.log.error('a copy is not up to date', { copy: name, code: known.code, reason: known.message });
    const { message, hint } = known;
    app.observer.notice({
      level: 'warning',
      message: `${name}: ${message}`,
      ...(hint === undefined ? {} : { hint }),
    });
    return { ...facts, ok: false, duration_ms: clock.now() - startedMs, error: known.toJSON() };
  }
}

/** What nobody has forgotten and only a copy has, the repository has lost; or it was made there. */
function tellOfOnlyThere(
  app: App,
  repository: Repository,
  name: string,
  { only_there: ids }: SyncReport,
): void {
  if (ids.length === 0) return;
  const { location } = repository.storage;
  const examples = ids.slice(-3).map((id) => id.slice(0, 8));
  const others = ids.length > examples.length ? ` and ${ids.length - examples.length} more` : '';
  app.observer.notice({
    level: 'warning',
    message: `${name} has ${plural(ids.length, 'backup')} that ${location} lacks, and nobody has forgotten: ${examples.join(', ')}${others}`,
    hint: `bring back what was lost: holdfast verify --repair --from ${name}; or all: holdfast sync --repo ${name} --to ${location}`,
  });
}

/**
 * Made only where there is nothing: what is there stays as it is until it is known to be a copy. With `filled`, not where
 * there was one before.
 */
async function openPlace(app: App, location: string, filled: FilledCopy | undefined): Promise<Storage> {
  let storage: Storage;
  try {
    storage = await openStorageAt(app, location, false);
  } catch (error) {
    if (!isFailure(error, 'storage_missing')) throw error;
    await filled?.assertNew();
    await filled?.assertParent();
    return await openStorageAt(app, location, true);
  }
  try {
    if (filled !== undefined && (await readRepositoryInfo(storage)) === null) await filled.assertNew();
    return storage;
  } catch (error) {
    await storage.close();
    throw error;
  }
}

/** `copies_behind` naming those that are not up to date; undefined when all are. */
export function copiesError(outcomes: readonly CopyOutcome[]): Record<string, unknown> | undefined {
  const behind = outcomes.filter(({ ok }) => !ok).map(({ name }) => name);
  if (behind.length === 0) return undefined;
  const count = behind.length === 1 ? '1 copy is' : `${behind.length} copies are`;
  return failure('copies_behind', { count, names: behind.join(', ') }).toJSON();
}
