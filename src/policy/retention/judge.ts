import type { RetentionConfig } from '../../contract/config-retention.ts';
import { walWindowBases, type WalBackup } from '../wal-window.ts';
import { bucketOf, type BucketKind } from './buckets.ts';
import type { Judgement, RetentionBackup, RetentionContext } from './model.ts';
import { readRules, type Rules, type SlotRule } from './rules.ts';
import type { WallTime } from './zone.ts';

/** Of backups that WAL belongs to. */
const clusterKind = 'postgres-cluster';

/** Reasons to keep backups, and why rules do not keep others. */
class Reasons {
  readonly #keep = new Map<RetentionBackup, string[]>();
  readonly #pass = new Map<RetentionBackup, string[]>();

  keep(backup: RetentionBackup, reason: string): void {
    add(this.#keep, backup, reason);
  }

  pass(backup: RetentionBackup, reason: string): void {
    add(this.#pass, backup, reason);
  }

  judgement(backup: RetentionBackup): Judgement {
    const keep = this.#keep.get(backup);
    if (keep !== undefined) return { backup, action: 'keep', reasons: keep };
    return { backup, action: 'forget', reasons: this.#pass.get(backup) ?? ['no rule keeps it'] };
  }
}

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

interface Bucket {
  readonly name: string;
  /** The newest that lacks nothing; null when there is none. */
  good: RetentionBackup | null;
  /** The newest of all. */
  readonly newest: RetentionBackup;
  readonly members: RetentionBackup[];
}

/**
 * Each of the newest buckets with a good backup has a slot, and the newest good backup is in it. A bucket with nothing
 * but incomplete ones takes no slot from those: it has one of its own, of as many, until the good slots are full.
 */
function fillSlots(
  { kind, count }: SlotRule,
  timely: readonly RetentionBackup[],
  walls: ReadonlyMap<RetentionBackup, WallTime>,
  reasons: Reasons,
): void {
  let good = 0;
  let incomplete = 0;
  for (const bucket of bucketsOf(kind, timely, walls)) {
    const isGood = bucket.good !== null;
    const kept = bucket.good ?? bucket.newest;
    const isKept = good < count && (isGood || incomplete < count);
    if (isKept) {
      if (isGood) good += 1;
      else incomplete += 1;
      const what =
        kind === 'last' ? `last ${isGood ? good : incomplete} of ${count}` : `${kind} ${bucket.name}`;
      reasons.keep(kept, isGood ? what : `${what}, incomplete`);
    }
    const beyond = kind === 'last' ? `not among the last ${count}` : `${kind}: not among the newest ${count}`;
    const instead = `${kind} ${bucket.name} is ${kept.id.slice(0, 8)}`;
    for (const member of bucket.members)
      if (member !== kept || !isKept) reasons.pass(member, isKept ? instead : beyond);
  }
}

/** The newest first. */
function bucketsOf(
  kind: BucketKind | 'last',
  timely: readonly RetentionBackup[],
  walls: ReadonlyMap<RetentionBackup, WallTime>,
): Iterable<Bucket> {
  const buckets = new Map<string, Bucket>();
  for (const backup of timely) {
    const wall = walls.get(backup);
    if (wall === undefined) continue;
    const name = kind === 'last' ? backup.id : bucketOf(kind, wall);
    const bucket = buckets.get(name) ?? { name, good: null, newest: backup, members: [] };
    buckets.set(name, bucket);
    bucket.members.push(backup);
    if (!backup.incomplete) bucket.good ??= backup;
  }
  return buckets.values();
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
    else if (!backup.incomplete) placed.set(backup.wal, backup);
  }
  for (const base of walWindowBases([...placed.keys()], timelines, windowStartMs)) {
    const backup = placed.get(base);
    if (backup !== undefined) reasons.keep(backup, `PITR window since ${since}Z`);
  }
}

/** What no policy gives away. */
function keepAlways(
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
export function lastGood(backups: readonly RetentionBackup[], nowMs: number): ReadonlySet<RetentionBackup> {
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

function add(map: Map<RetentionBackup, string[]>, backup: RetentionBackup, reason: string): void {
  const list = map.get(backup);
  if (list === undefined) map.set(backup, [reason]);
  else list.push(reason);
}
