import { parseSpan } from '../contract/calendar-span.ts';
import type { KeptInterval, KeptWal } from '../operations/wal/unneeded.ts';
import { walToKeep, type WalArchiveFacts } from '../policy/wal-retention.ts';
import type { Repository } from '../repository/repository.ts';
import type { WalArchive } from '../repository/wal/model.ts';
import { readInventory, timelinesFor } from './clean-inventory.ts';
import { calendarZone, walWindow } from './clean-policy.ts';
import type { App } from './compose.ts';

/**
 * Which WAL must stay: what each backup needs that is there, and what recovery to any moment of `keep_wal` needs; without
 * that setting everything behind the oldest backup. Of what cannot be told for sure, all: nothing at all is given up while
 * a backup cannot be read.
 */
export async function keptWal(app: App, repository: Repository): Promise<KeptWal> {
  const { signal } = app;
  const { backups, unreadable } = await readInventory(repository, signal);
  const kept = new Map<string, ReadonlyMap<number, readonly KeptInterval[]>>();
  if (unreadable.length > 0) return kept;
  const archives: WalArchive[] = [];
  for await (const archive of repository.walArchives({ signal })) archives.push(archive);
  for (const [source, own] of Map.groupBy(archives, ({ info }) => info.source)) {
    const placed = backups.filter((backup) => backup.source === source && backup.wal !== null);
    const paths = await timelinesFor(repository, placed, signal);
    const facts = own.flatMap(({ id, info }): WalArchiveFacts[] => {
      const known = paths.get(id);
      const isEmpty = !placed.some(({ wal }) => wal?.archive === id);
      // Whose timelines cannot be told stays whole.
      if (known === undefined && !isEmpty) return [];
      return [{ id, createdAtMs: Date.parse(info.created_at), paths: known ?? new Map() }];
    });
    const wal = placed.flatMap((backup) => (backup.wal === null ? [] : [backup.wal]));
    const clear = wal.filter(({ archive }) => facts.some(({ id }) => id === archive));
    for (const [id, timelines] of walToKeep(clear, facts, windowStart(app, source))) kept.set(id, timelines);
  }
  return kept;
}

/** When the window of a source began; null when it has none. */
function windowStart(app: App, source: string): number | null {
  const text = walWindow(app, source);
  const span = text === undefined ? undefined : parseSpan(text);
  if (span === undefined || typeof span === 'string') return null;
  return calendarZone(app).before(app.machine.clock.now(), span);
}
