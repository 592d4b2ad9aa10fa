import type { RetentionConfig } from '../../contract/config-retention.ts';
import { walWindowBases, type WalBackup } from '../wal-window.ts';
import { keepAlways } from './always.ts';
import type { Judgement, RetentionBackup, RetentionContext } from './model.ts';
import { Reasons } from './reasons.ts';
import { readRules, type Rules } from './rules.ts';
import { fillSlots } from './slots.ts';

/** Of backups that WAL belongs to. */
const clusterKind = 'postgres-cluster';

/**
 * Judges the backups of one source by a policy: a plan with every reason for every backup, the oldest first. Nothing is
 * done. `where` names the policy in messages. Throws `retention_empty`.
 */
export function judgeSource(
  backups: readonly RetentionBackup[],
  policy: RetentionConfig,
  where: string,
  context: RetentionContext,
): readonly Judgement[] {
  const rules = readRules(policy, where);
  const newestFirst = backups.toSorted((a, b) => b.startedAtMs - a.startedAtMs || b.sequence - a.sequence);
  const reasons = new Reasons();
  const timely = newestFirst.filter((backup) => !backup.imported && backup.startedAtMs <= context.nowMs);
  const walls = new Map(timely.map((backup) => [backup, context.zone.wallAt(backup.startedAtMs)]));
  for (const rule of rules.slots) fillSlots(rule, timely, walls, reasons);
  keepWithin(rules, timely, context, reasons);
  keepTagged(rules, newestFirst, reasons);
  keepForWal(rules, newestFirst, context, reasons);
  keepAlways(newestFirst, context, reasons);
  return newestFirst.toReversed().map((backup) => reasons.judgement(backup));
}

/** Counted back from the newest good backup and not from now: where no backup succeeds any more, none grows too old. */
function keepWithin(
  { within }: Rules,
  timely: readonly RetentionBackup[],
  { zone }: RetentionContext,
  reasons: Reasons,
): void {
  const newest = timely.find(({ incomplete }) => !incomplete) ?? timely[0];
  if (within === null || newest === undefined) return;
  const from = zone.before(newest.startedAtMs, within.span);
  for (const backup of timely) {
    if (backup.startedAtMs >= from) reasons.keep(backup, `within ${within.text}`);
    else reasons.pass(backup, `older than ${within.text}`);
  }
}

function keepTagged({ tags }: Rules, backups: readonly RetentionBackup[], reasons: Reasons): void {
  for (const backup of backups) {
    for (const tag of tags) {
      const at = tag.indexOf('=');
      const [key, wanted] = at === -1 ? [tag, undefined] : [tag.slice(0, at), tag.slice(at + 1)];
      if (!Object.hasOwn(backup.tags, key)) continue;
      const value = backup.tags[key] ?? '';
      if (wanted === undefined || wanted === value) reasons.keep(backup, `tag ${key}=${value}`);
    }
  }
}

/**
 * Whatever is to be recovered within the window needs a backup to begin with. Where the histories of timelines cannot be
 * read, or a backup does not tell where it lies, nobody knows which one: then all of them stay.
 */
function keepForWal(
  { wal }: Rules,
  backups: readonly RetentionBackup[],
  { zone, nowMs, timelines }: RetentionContext,
  reasons: Reasons,
): void {
  if (wal === null) return;
  const windowStartMs = zone.before(nowMs, wal.span);
  const since = new Date(windowStartMs).toISOString().slice(0, 19);
  const placed = new Map<WalBackup, RetentionBackup>();
  for (const backup of backups) {
    if (backup.kind !== clusterKind || backup.imported) continue;
    if (backup.wal === null) reasons.keep(backup, 'it does not tell where it lies in the WAL');
    else if (!timelines.has(backup.wal.archive))
      reasons.keep(backup, 'the histories of its timelines cannot be read');
    else placed.set(backup.wal, backup);
  }
  for (const base of walWindowBases([...placed.keys()], timelines, windowStartMs)) {
    const backup = placed.get(base);
    const lacking = base.incomplete ? ', incomplete' : '';
    if (backup !== undefined) reasons.keep(backup, `PITR window since ${since}Z${lacking}`);
  }
}
