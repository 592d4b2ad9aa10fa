import type { Manifest } from '../contract/manifest.ts';
import { isFailure } from '../kernel/errors/failure.ts';
import { compareRemembered } from '../repository/remembered-compare.ts';
import type { Repository } from '../repository/repository.ts';
import { historyMemory, openAndTell, type App } from './compose.ts';
import { appAt, copyPlaces, type Place } from './places.ts';

/**
 * Warns when the newest backup that is there is not the newest that this machine knows of: the place has lost that one, or
 * was put back to an earlier state. For who asked for the latest; whoever names a backup gets what they named.
 */
export async function warnOfMissingNewest(
  app: App,
  repository: Repository,
  reference: string,
  { sequence, source }: Manifest,
): Promise<void> {
  if (reference !== 'latest' && !reference.startsWith('latest:')) return;
  const { info, storage } = repository;
  const memory = await historyMemory(app, info.id, storage.location);
  const newer = memory.points.filter((point) => point.sequence > sequence);
  const options = { from: memory.path, hashes: false, signal: app.signal };
  const gone = await compareRemembered(repository, newer, options);
  for (const { id } of gone.toReversed()) {
    const found = await inCopies(app, id);
    if (found !== undefined && found.source !== source.name) continue;
    app.observer.notice({
      level: 'warning',
      message: `this is not the newest backup${found === undefined ? ' there was' : ` of ${source.name}`}: ${id.slice(0, 8)} is gone from ${storage.location}, and nobody has forgotten it`,
      hint:
        found === undefined
          ? 'run holdfast verify; if there is a copy somewhere: holdfast verify --repair --from it'
          : `the copy ${found.copy} has it: holdfast restore ${id.slice(0, 8)} --repo ${found.copy} …; bring it back with holdfast verify --repair --from ${found.copy}`,
    });
    return;
  }
}

/** The first copy that has a backup, and of what source it is. */
async function inCopies(app: App, id: string): Promise<{ source: string; copy: string } | undefined> {
  for (const place of copyPlaces(app)) {
    const source = await sourceIn(app, place, id);
    if (source !== undefined) return { source, copy: place.name };
  }
  return undefined;
}

async function sourceIn(app: App, place: Place, id: string): Promise<string | undefined> {
  try {
    await using copy = (await openAndTell(appAt(app, place))).repository;
    return (await copy.find(id, { signal: app.signal })).source.name;
  } catch (error) {
    app.signal.throwIfAborted();
    if (!isFailure(error)) throw error;
    return undefined;
  }
}
