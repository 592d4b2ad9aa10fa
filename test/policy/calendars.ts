import type { RetentionConfig } from '../../src/contract/config-retention.ts';
import { judgeSource } from '../../src/policy/retention/judge.ts';
import type { RetentionBackup } from '../../src/policy/retention/model.ts';
import { describePolicy } from '../../src/policy/retention/rules.ts';
import { Zone } from '../../src/policy/retention/zone.ts';
import { backupAt, dayMs, hourMs } from './backups.ts';

/** What is looked at, and when: just after a clock was set, or where the weeks of two years meet. */
export const calendars: readonly { readonly zone: string; readonly file: string; readonly now: string }[] = [
  { zone: 'UTC', file: 'utc.txt', now: '2027-01-02T12:00:00Z' },
  { zone: 'Europe/Berlin', file: 'europe-berlin.txt', now: '2026-10-26T11:00:00Z' },
  { zone: 'America/New_York', file: 'america-new-york.txt', now: '2026-03-09T16:00:00Z' },
  { zone: 'Australia/Lord_Howe', file: 'australia-lord-howe.txt', now: '2026-04-06T01:00:00Z' },
  { zone: 'Asia/Kathmandu', file: 'asia-kathmandu.txt', now: '2026-11-22T06:00:00Z' },
];

const policies: readonly (readonly [string, RetentionConfig])[] = [
  ['hourly', { keep_hourly: 36, keep_daily: 10, keep_weekly: 6, keep_monthly: 12, keep_yearly: 3 }],
  ['daily', { keep_last: 3, keep_daily: 7, keep_weekly: 4, keep_monthly: 12 }],
  ['daily', { keep_within: '2w', keep_monthly: 6 }],
  ['now and then', { keep_last: 2, keep_daily: 7, keep_weekly: 4, keep_monthly: 12, keep_yearly: 10 }],
  ['now and then', { keep_within: '1mo' }],
];

/** Times of three years of backups, on a schedule of UTC: by the clock on the wall it moves in summer. */
function timesOf(schedule: string, nowMs: number): number[] {
  const start = nowMs - 3 * 365 * dayMs;
  const times: number[] = [];
  const step = schedule === 'hourly' ? () => hourMs : schedule === 'daily' ? () => dayMs : irregular();
  for (let at = start; at <= nowMs; at += step()) times.push(at);
  return times;
}

/** Runs of a few days with several backups each, and weeks without any; always the same ones. */
function irregular(): () => number {
  let state = 20_261_121;
  return () => {
    state = (state * 1_103_515_245 + 12_345) % 2_147_483_648;
    const share = state / 2_147_483_648;
    return Math.round(share ** 6 * 50 * dayMs) + 40 * 60_000;
  };
}

/** What each policy keeps of three years of backups, for people to check with a calendar. */
export function calendarOf(zoneName: string, now: string): string {
  const zone = new Zone(zoneName);
  const nowMs = Date.parse(now);
  const sections = policies.map(([schedule, policy]) => {
    const backups = timesOf(schedule, nowMs).map((at, index) => backupAt(at, index + 1));
    const plan = judgeSource(backups, policy, 'shop', { zone, nowMs, timelines: new Map() });
    const kept = plan.filter(({ action }) => action === 'keep').toReversed();
    const lines = kept.map(({ backup, reasons }) => `${shown(backup, zone)}  ${reasons.join('; ')}`);
    return [
      `Backups ${schedule}, ${backups.length} of them; kept: ${describePolicy(policy)}`,
      `${kept.length} are left:`,
      '',
      ...lines,
    ].join('\n');
  });
  const title = `${zoneName}, three years of backups up to ${shown(backupAt(nowMs, 1), zone)}. The newest first.`;
  return `${[title, ...sections].join('\n\n')}\n`;
}

const weekdays = ['Sun', 'Mon', 'Tue', 'Wed', 'Thu', 'Fri', 'Sat'];

/** `Sun 2026-10-25 02:00 +01:00` */
function shown({ startedAtMs }: RetentionBackup, zone: Zone): string {
  const { year, month, day, hour, minute, offsetMs } = zone.wallAt(startedAtMs);
  const two = (value: number): string => String(value).padStart(2, '0');
  const weekday = weekdays[new Date(Date.UTC(year, month - 1, day)).getUTCDay()];
  const minutes = Math.abs(offsetMs) / 60_000;
  const offset = `${offsetMs < 0 ? '-' : '+'}${two(Math.floor(minutes / 60))}:${two(minutes % 60)}`;
  return `${weekday} ${year}-${two(month)}-${two(day)} ${two(hour)}:${two(minute)} ${offset}`;
}

export const calendarDirectory = new URL('calendars/', import.meta.url);
