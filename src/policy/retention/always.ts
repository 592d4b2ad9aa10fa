import type { RetentionBackup, RetentionContext } from './model.ts';
import type { Reasons } from './reasons.ts';

/** What no policy gives away. */
export function keepAlways(
  newestFirst: readonly RetentionBackup[],
  { nowMs }: RetentionContext,
  reasons: Reasons,
): void {
  for (const backup of newestFirst) {
    const { pinned, imported, startedAtMs } = backup;
    if (pinned !== null) reasons.keep(backup, pinned === '' ? 'pinned' : `pinned: ${pinned}`);
    if (imported) reasons.keep(backup, 'imported: only forget removes it');
    if (startedAtMs > nowMs) reasons.keep(backup, 'its time is in the future');
  }
  for (const backup of lastGood(newestFirst, nowMs)) reasons.keep(backup, 'the last good backup');
  const [newest] = newestFirst.filter(({ startedAtMs }) => startedAtMs <= nowMs);
  for (const backup of new Set([newest, newestBySequence(newestFirst)]))
    if (backup !== undefined) reasons.keep(backup, 'the newest of its source');
}

/**
 * The newest backup with nothing missing, of each kind that the source has had. Clocks may be wrong, so the newest by
 * time and the one that was stored last both count.
 */
function lastGood(backups: readonly RetentionBackup[], nowMs: number): ReadonlySet<RetentionBackup> {
  const good = backups.filter(({ incomplete, imported }) => !incomplete && !imported);
  const found = new Set<RetentionBackup>();
  for (const kind of new Set(good.map((backup) => backup.kind))) {
    const own = good.filter((backup) => backup.kind === kind);
    const timely = own.filter(({ startedAtMs }) => startedAtMs <= nowMs);
    const byTime = timely.toSorted((a, b) => b.startedAtMs - a.startedAtMs || b.sequence - a.sequence)[0];
    for (const backup of [byTime, newestBySequence(own)]) if (backup !== undefined) found.add(backup);
  }
  return found;
}

function newestBySequence(backups: readonly RetentionBackup[]): RetentionBackup | undefined {
  return backups.toSorted((a, b) => b.sequence - a.sequence || b.startedAtMs - a.startedAtMs)[0];
}
