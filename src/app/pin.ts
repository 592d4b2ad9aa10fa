import { isFailure, reasonOf } from '../kernel/errors/failure.ts';
import { pinnedIds, putPin, readPin, removePin } from '../repository/history/pins.ts';
import type { Repository } from '../repository/repository.ts';
import {
  openConfiguredRepository,
  withApp,
  type App,
  type AppContext,
  type CommonOptions,
  type Outcome,
} from './compose.ts';
import { appAt, namedPlace } from './places.ts';

export interface PinOptions extends CommonOptions {
  /** As for a restore. */
  readonly id: string;
  /** Why, for people. */
  readonly reason?: string | undefined;
}

export interface PinResult extends Outcome {
  readonly repository: { readonly id: string; readonly location: string };
  readonly backup: { readonly id: string; readonly source: string | null };
  /** Null when it is not pinned. */
  readonly pin: { readonly reason: string; readonly pinned_at: string; readonly by: string } | null;
  /** False when it was so before. */
  readonly changed: boolean;
}

/** Keeps a backup from being forgotten, whatever policies say. One that is pinned already keeps its reason. */
export async function pin(options: PinOptions, context: AppContext): Promise<PinResult> {
  return withApp(options, context, { name: 'pin', touched: ({ backup }) => [backup.id] }, async (app) => {
    await using repository = await openConfiguredRepository(app);
    repository.assertMay('read', 'write');
    const { signal, machine } = app;
    const manifest = await repository.find(options.id, { signal });
    const { host, user, clock } = machine;
    const wanted = {
      schema: 1 as const,
      id: manifest.id,
      reason: options.reason ?? '',
      pinned_at: new Date(clock.now()).toISOString(),
      host,
      user,
    };
    const holds = await putPin(repository, wanted, signal);
    return {
      ...resultOf(repository, manifest.id, manifest.source.name),
      pin: { reason: holds.reason, pinned_at: holds.pinned_at, by: `${holds.user}@${holds.host}` },
      changed: holds === wanted,
    };
  });
}

/** Leaves a backup to the policies again; one that is gone already by its full id. */
export async function unpin(options: PinOptions, context: AppContext): Promise<PinResult> {
  return withApp(options, context, { name: 'unpin', touched: ({ backup }) => [backup.id] }, async (app) => {
    await using repository = await openConfiguredRepository(app);
    repository.assertMay('read', 'write', 'delete');
    const { signal } = app;
    const { id, source } = await meant(repository, options.id, signal);
    const held = await readPin(repository, id, signal);
    if (held !== undefined) await removePin(repository, id, signal);
    await warnOfPrimaryPin(app, repository, id);
    return { ...resultOf(repository, id, source), pin: null, changed: held !== undefined };
  });
}

/** The next sync of the primary pins it in a copy again. */
async function warnOfPrimaryPin(app: App, copy: Repository, id: string): Promise<void> {
  const { config, observer, signal, log } = app;
  const [first] = Object.keys(config.repositories);
  const primary = first === undefined ? undefined : namedPlace(app, first);
  const isCopy = Object.values(config.repositories).some(({ url }) => url === config.repository);
  if (primary === undefined || !isCopy || primary.location === config.repository) return;
  try {
    await using repository = await openConfiguredRepository(appAt(app, primary));
    if (repository.info.id !== copy.info.id || !(await pinnedIds(repository, signal)).has(id)) return;
    observer.notice({
      level: 'warning',
      message: `the primary ${primary.name} pins this backup, too: the next sync pins it here again`,
      hint: `to unpin it there first: holdfast unpin ${id.slice(0, 8)} --repo ${primary.name}`,
    });
  } catch (error) {
    signal.throwIfAborted();
    log.warn('whether the primary pins it, too, cannot be told', { reason: reasonOf(error) });
  }
}

async function meant(
  repository: Repository,
  reference: string,
  signal: AbortSignal,
): Promise<PinResult['backup']> {
  try {
    const manifest = await repository.find(reference, { signal });
    return { id: manifest.id, source: manifest.source.name };
  } catch (error) {
    const isThere = (await pinnedIds(repository, signal)).has(reference);
    if (!isThere || !isFailure(error) || isFailure(error, 'interrupted')) throw error;
    return { id: reference, source: null };
  }
}

function resultOf(repository: Repository, id: string, source: string | null) {
  return {
    schema: 1 as const,
    ok: true,
    repository: { id: repository.info.id, location: repository.storage.location },
    backup: { id, source },
  };
}
