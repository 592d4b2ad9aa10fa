import { isFailure, type HoldfastError } from '../kernel/errors/failure.ts';
import { openAndTell, type App, type OpenedRepository } from './compose.ts';
import { appAt, copyPlaces, type Place } from './places.ts';

export interface OpenedForReading extends OpenedRepository {
  /** Why a copy took the place of the repository; undefined where none did. */
  readonly instead?: { readonly of: HoldfastError; readonly copy: string } | undefined;
}

/**
 * Opens the repository for a command that only reads. Where it cannot be opened a copy takes its place, loudly; and what
 * it has lost is read from copies.
 */
export async function openForReading(app: App): Promise<OpenedForReading> {
  const copies = copyPlaces(app);
  if (copies.length === 0) return await openAndTell(app);
  try {
    const opened = await openAndTell(app);
    await addFallback(app, opened, copies);
    return opened;
  } catch (error) {
    app.signal.throwIfAborted();
    if (!isFailure(error) || !mayBeElsewhere(error)) throw error;
    return await openCopy(app, copies, error);
  }
}

async function addFallback(
  app: App,
  { repository }: OpenedRepository,
  copies: readonly Place[],
): Promise<void> {
  const { Fallback } = await import('../repository/fallback.ts');
  const lazy = copies.map((place) => ({
    name: place.name,
    open: async () => (await openAndTell(appAt(app, place))).repository,
  }));
  const told = (name: string): void =>
    app.observer.notice({
      level: 'warning',
      message: `some of what is needed cannot be read in ${repository.storage.location}; it is read from the copy ${name}`,
      hint: `run holdfast verify --read-data, then holdfast verify --repair --from ${name}`,
    });
  repository.fallBackTo(new Fallback(lazy, app.log, told));
}

async function openCopy(app: App, copies: readonly Place[], error: HoldfastError): Promise<OpenedForReading> {
  for (const place of copies) {
    try {
      const opened = await openAndTell(appAt(app, place));
      app.observer.notice({
        level: 'warning',
        message: `${error.message}; using the copy ${place.name} in ${opened.repository.storage.location}`,
      });
      return { ...opened, instead: { of: error, copy: place.name } };
    } catch (other) {
      app.signal.throwIfAborted();
      if (!isFailure(other)) throw other;
      app.log.warn('a copy cannot be used either', { copy: place.name, reason: other.message });
    }
  }
  throw error;
}

/** Not for a wrong key or a refusal: those would be the same everywhere. */
function mayBeElsewhere({ kind, errorName }: HoldfastError): boolean {
  return ['unreachable', 'failed', 'not_found', 'integrity'].includes(kind) || errorName === 'storage_denied';
}
