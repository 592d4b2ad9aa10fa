import type { Entry } from '../contract/stream.ts';
import { backupView, type BackupView } from './backup-view.ts';
import {
  openConfiguredRepository,
  withApp,
  type AppContext,
  type CommonOptions,
  type Outcome,
} from './compose.ts';

export interface InfoOptions extends CommonOptions {
  readonly id: string;
}

export interface EntryView {
  readonly path: string;
  readonly kind: string;
  readonly bytes: number;
  readonly meta: Entry['meta'];
}

export interface InfoResult extends Outcome {
  readonly repository: { readonly id: string; readonly location: string };
  readonly backup: BackupView & {
    readonly sequence: number;
    readonly metadata: Readonly<Record<string, unknown>>;
  };
  readonly entries: readonly EntryView[];
}

/** One backup in detail, with everything in it. */
export async function info(options: InfoOptions, context: AppContext): Promise<InfoResult> {
  return withApp(options, context, null, async (app) => {
    await using repository = await openConfiguredRepository(app);
    const manifest = await repository.find(options.id, { signal: app.signal });
    const entries: EntryView[] = [];
    for await (const { path, kind, stream, meta } of repository.entries(manifest, { signal: app.signal })) {
      entries.push({ path, kind, bytes: stream?.size_bytes ?? 0, meta });
    }
    return {
      schema: 1,
      ok: true,
      repository: { id: repository.info.id, location: repository.storage.location },
      backup: { ...backupView(manifest), sequence: manifest.sequence, metadata: manifest.metadata },
      entries,
    };
  });
}
