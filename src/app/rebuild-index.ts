import { rebuildIndex as rebuild } from '../repository/rebuild-index.ts';
import {
  openConfiguredRepository,
  withApp,
  type AppContext,
  type CommonOptions,
  type Outcome,
} from './compose.ts';

export interface RebuildIndexResult extends Outcome {
  readonly repository: { readonly id: string; readonly location: string };
  /** Packs that the new indexes tell of. */
  readonly packs: number;
  readonly written: number;
  readonly removed: number;
  /** Packs of which nothing can be read: their ids. */
  readonly unreadable: readonly string[];
}

/** Makes the indexes anew out of what the packs tell of themselves. Backups may run meanwhile. */
export async function rebuildIndex(options: CommonOptions, context: AppContext): Promise<RebuildIndexResult> {
  return withApp(options, context, { name: 'rebuild-index' }, async (app) => {
    await using repository = await openConfiguredRepository(app);
    using progress = app.observer.progress('rebuild-index');
    progress.phase('reading what the packs tell of themselves');
    const { packs, written, removed, unreadable } = await rebuild(repository, {
      signal: app.signal,
      onPack: (bytes) => progress.advance(bytes),
    });
    return {
      schema: 1,
      ok: true,
      repository: { id: repository.info.id, location: repository.storage.location },
      packs,
      written: written.length,
      removed: removed.length,
      unreadable,
    };
  });
}
