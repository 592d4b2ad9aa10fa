import { parseSpan } from '../contract/calendar-span.ts';
import type { WalQuestion } from '../operations/prune/options.ts';
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
 * a backup cannot be read, or of those that `question` names one is not listed.
 */
export async function keptWal(
  app: App,
  repository: Repository,
  question: WalQuestion = { nowMs: app.machine.clock.now(), backups: [] },
): Promise<KeptWal> {
  const { signal } = app;
  const { backups, unreadable } = await readInventory(repository, signal);
  const kept = new Map<string, ReadonlyMap<number, readonly KeptInterval[]>>();
  const known = new Set(backups.map(({ id }) => id));
  if (unreadable.length > 0 || question.backups.some((id) => !known.has(id))) return kept;
  const archives: WalArchive[] = [];
  for await (const archive of repository.walArchives({ signal })) archives.push(archive);
  for (const [source, own] of Map.groupBy(archives, ({ info }) => info.source)) {
    const placed = backups.filter((backup) => backup.source === source && backup.wal !== null);
    const paths = await timelinesFor(repository, placed, signal);
    const facts = own.flatMap(({ id, info }): WalArchiveFacts[] => {
      const path = paths.get(id);
      const isEmpty = !placed.some(({ wal }) => wal?.archive === id);
      // Whose timelines cannot be told stays whole.
      if (path === undefined && !isEmpty) return [];
      return [{ id, createdAtMs: Date.parse(info.created_at), paths: path ?? new Map() }];
    });
    const wal = placed.flatMap((backup) => (backup.wal === null ? [] : [backup.wal]));
    const clear = wal.filter(({ archive }) => facts.some(({ id }) => id === archive));
    for (const [id, timelines] of walToKeep(clear, facts, windowStart(app, source, question.nowMs)))
      kept.set(id, timelines);
  }
  return kept;
}

/** When the window of a source began; null when it has none. */
function windowStart(app: App, source: string, nowMs: number): number | null {
  const text = walWindow(app, source);
  const span = text === undefined ? undefined : parseSpan(text);
  if (span === undefined || typeof span === 'string') return null;
  return calendarZone(app).before(nowMs, span);
}
