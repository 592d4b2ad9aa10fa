import { failure } from '../kernel/errors/failure.ts';
import { nearest } from '../kernel/nearest.ts';
import { backupView, type BackupView } from './backup-view.ts';
import {
  openConfiguredRepository,
  withApp,
  type AppContext,
  type CommonOptions,
  type Outcome,
} from './compose.ts';

export interface ListOptions extends CommonOptions {
  readonly source?: string | undefined;
  readonly tags?: Readonly<Record<string, string>> | undefined;
  /** Only the newest so many. */
  readonly limit?: number | undefined;
}

export interface ListResult extends Outcome {
  readonly repository: { readonly id: string; readonly location: string };
  /** Oldest first. */
  readonly backups: readonly BackupView[];
}

/** The backups of the repository. `source_unknown` when a source is asked for that has none. */
export async function list(options: ListOptions, context: AppContext): Promise<ListResult> {
  return withApp(options, context, null, async (app) => {
    await using repository = await openConfiguredRepository(app);
    const names = await repository.names({ signal: app.signal });
    const wanted = options.limit ?? Number.POSITIVE_INFINITY;
    const found: BackupView[] = [];
    const sources = new Set<string>();
    for (const name of names.toReversed()) {
      if (found.length >= wanted) break;
      const view = backupView(await repository.manifest(name, { signal: app.signal }));
      sources.add(view.source);
      if (matches(view, options)) found.push(view);
    }
    if (options.source !== undefined && !sources.has(options.source))
      throw unknownSource(options.source, sources);
    const { id } = repository.info;
    return {
      schema: 1,
      ok: true,
      repository: { id, location: repository.storage.location },
      backups: found.toReversed(),
    };
  });
}

function matches(view: BackupView, { source, tags }: ListOptions): boolean {
  if (source !== undefined && view.source !== source) return false;
  return Object.entries(tags ?? {}).every(([key, value]) => view.tags[key] === value);
}

export function unknownSource(name: string, known: Iterable<string>): Error {
  const names = [...known];
  const near = nearest(name, names);
  const all = names.length === 0 ? 'there are none' : `there are: ${names.join(', ')}`;
  return failure('source_unknown', {
    name,
    suggestion: near === undefined ? all : `did you mean ${near}? ${all}`,
  });
}
