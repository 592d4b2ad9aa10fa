import { failure } from '../kernel/errors/failure.ts';
import {
  openConfiguredRepository,
  withApp,
  type AppContext,
  type CommonOptions,
  type Outcome,
} from './compose.ts';
import { copiesError, updateCopies, type CopyOutcome } from './copies.ts';
import { copyPlaces, namedPlace } from './places.ts';

export interface SyncOptions extends CommonOptions {
  /** Names or locations of copies; all of the configuration when empty. */
  readonly to?: readonly string[] | undefined;
  /** Fill copies that were filled before and are empty now; only with `to`. */
  readonly anew?: boolean | undefined;
}

export interface SyncResult extends Outcome {
  readonly repository: { readonly id: string; readonly location: string };
  readonly copies: readonly CopyOutcome[];
}

/**
 * Brings copies of the repository up to date. Of several one that fails does not stop the others (`copies_behind`); of
 * one, its error is that of the command.
 */
export async function sync(options: SyncOptions, context: AppContext): Promise<SyncResult> {
  const touched = (result: SyncResult): string[] =>
    result.copies.flatMap(({ report }) => report?.copied ?? []);
  return withApp(options, context, { name: 'sync', touched }, async (app) => {
    const named = options.to ?? [];
    if (options.anew === true && named.length === 0)
      throw failure('usage', {
        reason: '--anew is for a copy that is named',
        suggestion: 'name it: holdfast sync --to NAME --anew',
      });
    const places = named.length > 0 ? named.map((text) => namedPlace(app, text)) : copyPlaces(app);
    if (places.length === 0)
      throw failure('usage', {
        reason: 'there is no copy to bring up to date',
        suggestion: 'name one with --to, or add it below repositories: in the configuration',
      });
    await using repository = await openConfiguredRepository(app);
    const copies = await updateCopies(app, repository, places, { anew: options.anew });
    const [only] = copies;
    const error = copies.length === 1 ? only?.error : copiesError(copies);
    return {
      schema: 1,
      ok: error === undefined,
      ...(error === undefined ? {} : { error }),
      repository: { id: repository.info.id, location: repository.storage.location },
      copies,
    };
  });
}
