import type { Manifest } from '../contract/manifest.ts';
import type { Entry } from '../contract/stream.ts';
import { readPin } from '../repository/history/pins.ts';
import type { Repository } from '../repository/repository.ts';
import { backupView } from './backup-view.ts';
import { withApp, type AppContext, type CommonOptions, type Outcome } from './compose.ts';
import { openForReading } from './open-for-reading.ts';
import type { ListedBackup } from './list.ts';
import { copyPlaces } from './places.ts';
import { placeDeadlineMs } from './status/deadline.ts';
import { copiesOfBackup, type CopyOfBackup } from './status/places.ts';
import { walOfBackup, type WalOfBackup } from './recoverable.ts';

export interface InfoOptions extends CommonOptions {
  readonly id: string;
  /** Given the backup before its entries are read. */
  readonly onBackup?: ((backup: InfoResult['backup']) => void) | undefined;
  /** Given each entry as it is read, however many there are; the result then lists none. */
  readonly onEntry?: ((entry: EntryView) => void) | undefined;
}

/** Without `onEntry` no more entries than this are listed. */
const entriesListed = 1000;

export interface EntryView {
  readonly path: string;
  readonly kind: string;
  readonly bytes: number;
  readonly meta: Entry['meta'];
}

export interface BackupDetails extends ListedBackup {
  readonly sequence: number;
  readonly metadata: Readonly<Record<string, unknown>>;
  /** Null for anything but a backup of a PostgreSQL cluster. */
  readonly wal: WalOfBackup | null;
}

export interface InfoResult extends Outcome {
  readonly repository: { readonly id: string; readonly location: string };
  readonly backup: BackupDetails;
  /** The first thousand. */
  readonly entries?: readonly EntryView[];
  readonly entries_not_listed: number;
  /** Whether the copies of the configuration have it. */
  readonly copies: readonly CopyOfBackup[];
}

/** One backup in detail, with what is in it: a million files are listed only where they can be streamed. */
export async function info(options: InfoOptions, context: AppContext): Promise<InfoResult> {
  return withApp(options, context, null, async (app) => {
    const { repository } = await openForReading(app);
    await using _repository = repository;
    const manifest = await repository.find(options.id, { signal: app.signal });
    const copies = copiesOfBackup(app, copyPlaces(app), manifest.id, placeDeadlineMs);
    copies.catch(() => {});
    const backup = await backupDetails(repository, manifest, app.signal);
    options.onBackup?.(backup);
    const entries = await entriesOf(repository, manifest, options.onEntry, app.signal);
    return {
      schema: 1,
      ok: true,
      repository: { id: repository.info.id, location: repository.storage.location },
      backup,
      ...(options.onEntry === undefined || manifest.entries.count === 0 ? { entries } : {}),
      entries_not_listed: options.onEntry === undefined ? manifest.entries.count - entries.length : 0,
      copies: await copies,
    };
  });
}

export async function backupDetails(
  repository: Repository,
  manifest: Manifest,
  signal: AbortSignal,
): Promise<BackupDetails> {
  const { sequence, metadata } = manifest;
  const { recoverable, wal } = (await walOfBackup(repository, manifest, signal)) ?? {
    recoverable: null,
    wal: null,
  };
  const pinned = (await readPin(repository, manifest.id, signal))?.reason ?? null;
  return { ...backupView(manifest), recoverable, pinned, sequence, metadata, wal };
}

async function entriesOf(
  repository: Repository,
  manifest: Manifest,
  onEntry: InfoOptions['onEntry'],
  signal: AbortSignal,
): Promise<EntryView[]> {
  const entries: EntryView[] = [];
  const take = onEntry ?? ((entry: EntryView) => void entries.push(entry));
  for await (const { path, kind, stream, meta } of repository.entries(manifest, { signal })) {
    take({ path, kind, bytes: stream?.size_bytes ?? 0, meta });
    if (entries.length >= entriesListed) break;
  }
  return entries;
}
