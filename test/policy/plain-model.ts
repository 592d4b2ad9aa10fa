import type { RetentionBackup } from '../../src/policy/retention/model.ts';

/**
 * What retention keeps, said as plainly as it can be: every question is asked of all backups anew, and the calendar is
 * read off another text of Intl than the program reads. Slow, and for tests only.
 */
export interface PlainPolicy {
  readonly keep_last?: number | undefined;
  readonly keep_hourly?: number | undefined;
  readonly keep_daily?: number | undefined;
  readonly keep_weekly?: number | undefined;
  readonly keep_monthly?: number | undefined;
  readonly keep_yearly?: number | undefined;
  readonly keep_tags?: readonly string[] | undefined;
}

type Periods = Readonly<Record<Exclude<keyof PlainPolicy, 'keep_tags'>, string>>;

const read = new Map<string, string>();

/** `2026-10-25 02:30:00 GMT+01:00` */
function shown(startedAtMs: number, zone: string): string {
  const key = `${zone} ${startedAtMs}`;
  const known = read.get(key);
  if (known !== undefined) return known;
  const text = new Date(startedAtMs).toLocaleString('sv-SE', {
    timeZone: zone,
    year: 'numeric',
    month: '2-digit',
    day: '2-digit',
    hour: '2-digit',
    minute: '2-digit',
    second: '2-digit',
    timeZoneName: 'longOffset',
  });
  read.set(key, text);
  return text;
}

/** The Monday of its week: one day after the other is gone back until it is one. */
function mondayBefore(date: string): string {
  let day = new Date(`${date}T12:00:00Z`);
  while (day.getUTCDay() !== 1) day = new Date(day.getTime() - 86_400_000);
  return day.toISOString().slice(0, 10);
}

export function periodsOf(backup: RetentionBackup, zone: string): Periods {
  const text = shown(backup.startedAtMs, zone);
  const date = text.slice(0, 10);
  return {
    keep_last: backup.id,
    keep_hourly: `${text.slice(0, 13)} ${text.slice(20)}`,
    keep_daily: date,
    keep_weekly: mondayBefore(date),
    keep_monthly: date.slice(0, 7),
    keep_yearly: date.slice(0, 4),
  };
}

/** Ids of what is kept, by anything but `keep_within` and `keep_wal`. */
export function plainlyKept(
  backups: readonly RetentionBackup[],
  policy: PlainPolicy,
  zone: string,
  nowMs: number,
): ReadonlySet<string> {
  const isNewer = (a: RetentionBackup, b: RetentionBackup): boolean =>
    a.startedAtMs > b.startedAtMs || (a.startedAtMs === b.startedAtMs && a.sequence > b.sequence);
  const timely = backups.filter((one) => !one.imported && one.startedAtMs <= nowMs);
  const periods = new Map(timely.map((one) => [one, periodsOf(one, zone)]));

  const slotKept = (one: RetentionBackup, rule: keyof Periods): boolean => {
    const count = policy[rule] ?? 0;
    const period = (other: RetentionBackup): string => periods.get(other)?.[rule] ?? '';
    const mates = timely.filter((other) => period(other) === period(one));
    const newestMate = mates.reduce((a, b) => (isNewer(b, a) ? b : a));
    const newestInLater = timely.filter((other) => period(other) !== period(one) && isLater(other));
    const goodPeriods = new Set(newestInLater.filter(({ incomplete }) => !incomplete).map(period));
    const allPeriods = new Set(newestInLater.map(period));
    if (goodPeriods.size >= count) return false;
    if (!one.incomplete) return mates.every((other) => other.incomplete || !isNewer(other, one));
    if (mates.some(({ incomplete }) => !incomplete)) return false;
    return one === newestMate && [...allPeriods].filter((name) => !goodPeriods.has(name)).length < count;

    /** Whether the newest backup of the other one's period is newer than that of this one's. */
    function isLater(other: RetentionBackup): boolean {
      const its = timely.filter((third) => period(third) === period(other));
      return isNewer(
        its.reduce((a, b) => (isNewer(b, a) ? b : a)),
        newestMate,
      );
    }
  };

  const tagged = (one: RetentionBackup): boolean =>
    (policy.keep_tags ?? []).some((tag) =>
      Object.entries(one.tags).some(([key, value]) => tag === key || tag === `${key}=${value}`),
    );

  const always = (one: RetentionBackup): boolean => {
    const noneNewer = (others: readonly RetentionBackup[]): boolean =>
      others.every((other) => !isNewer(other, one));
    const noneStoredLater = (others: readonly RetentionBackup[]): boolean =>
      others.every((other) => other.sequence <= one.sequence);
    const known = backups.filter((other) => other.startedAtMs <= nowMs);
    const good = backups.filter((other) => !other.incomplete && !other.imported && other.kind === one.kind);
    const isGood = good.includes(one);
    return (
      one.pinned !== null ||
      one.imported ||
      one.startedAtMs > nowMs ||
      (isGood && (noneNewer(good.filter((other) => known.includes(other))) || noneStoredLater(good))) ||
      noneNewer(known) ||
      noneStoredLater(backups)
    );
  };

  const rules = Object.keys(periods.values().next().value ?? {}) as (keyof Periods)[];
  const kept = backups.filter(
    (one) =>
      always(one) || tagged(one) || (timely.includes(one) && rules.some((rule) => slotKept(one, rule))),
  );
  return new Set(kept.map(({ id }) => id));
}
