import { bucketOf, type BucketKind } from './buckets.ts';
import type { RetentionBackup } from './model.ts';
import type { Reasons } from './reasons.ts';
import type { SlotRule } from './rules.ts';
import type { WallTime } from './zone.ts';

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
export function fillSlots(
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
