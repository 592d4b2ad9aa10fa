import assert from 'node:assert/strict';
import { randomInt } from 'node:crypto';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import type { RetentionConfig } from '../../src/contract/config-retention.ts';
import { judgeSource } from '../../src/policy/retention/judge.ts';
import type { RetentionBackup } from '../../src/policy/retention/model.ts';
import { Zone } from '../../src/policy/retention/zone.ts';
import { backupAt, dayMs, hourMs } from './backups.ts';

const timelines = new Map();

function kept(
  all: readonly RetentionBackup[],
  policy: RetentionConfig,
  zone: Zone,
  nowMs: number,
): RetentionBackup[] {
  return judgeSource(all, policy, 'shop', { zone, nowMs, timelines })
    .filter(({ action }) => action === 'keep')
    .map(({ backup }) => backup);
}

/** A backup at each time, and the policy carried out after each: what is left then, and what was made in all. */
function live(times: readonly number[], policy: RetentionConfig, zone: Zone) {
  let left: readonly RetentionBackup[] = [];
  const made: RetentionBackup[] = [];
  for (const [index, at] of times.entries()) {
    const backup = backupAt(at, index + 1);
    made.push(backup);
    left = kept([...left, backup], policy, zone, at + 60_000);
  }
  return { left, made, nowMs: (times.at(-1) ?? 0) + 60_000 };
}

const names = (backups: readonly RetentionBackup[]): string[] =>
  backups.map(({ startedAtMs }) => new Date(startedAtMs).toISOString());

describe('a policy that is carried out again and again', () => {
  const policy = { keep_last: 3, keep_daily: 7, keep_weekly: 5, keep_monthly: 12, keep_yearly: 3 };

  it('keeps what a grandfather, a father and a son are: 7 days, 5 weeks, 12 months, 3 years in a row', () => {
    const zone = new Zone('Europe/Berlin');
    const start = Date.UTC(2023, 4, 17, 1);
    const times = Array.from({ length: 1300 }, (_, day) => start + day * dayMs);
    const { left, nowMs } = live(times, policy, zone);
    const dates = left.map(({ startedAtMs }) => {
      const { year, month, day } = zone.wallAt(startedAtMs);
      return Date.UTC(year, month - 1, day) / dayMs;
    });
    const today = Math.floor(nowMs / dayMs);
    const asDates = dates.map((date) => new Date(date * dayMs));
    for (let back = 0; back < 7; back += 1) assert.ok(dates.includes(today - back), `${back} days ago`);
    const sundays = asDates.filter((date) => date.getUTCDay() === 0).map((date) => date.getTime() / dayMs);
    const lastSunday = today - ((new Date(today * dayMs).getUTCDay() + 7) % 7 || 7);
    for (let back = 0; back < 4; back += 1)
      assert.ok(sundays.includes(lastSunday - 7 * back), `the Sunday ${back} weeks ago`);
    const { year, month } = zone.wallAt(nowMs);
    for (let back = 1; back < 12; back += 1) {
      const end = Date.UTC(year, month - back, 0) / dayMs;
      assert.ok(dates.includes(end), `the end of the month ${back} months ago`);
    }
    for (let back = 1; back < 3; back += 1)
      assert.ok(dates.includes(Date.UTC(year - back, 11, 31) / dayMs), `the end of ${year - back}`);
    assert.ok(left.length <= 3 + 7 + 5 + 12 + 3);
  });

  it('lets no backup go that is the last of its month before twelve newer months are there', () => {
    const zone = new Zone('America/New_York');
    const start = Date.UTC(2023, 0, 30, 12);
    let left: readonly RetentionBackup[] = [];
    const monthOf = (at: number): number => zone.wallAt(at).year * 12 + zone.wallAt(at).month;
    const lastOfMonth = new Map<number, RetentionBackup>();
    for (let day = 0; day < 900; day += 1) {
      const at = start + day * dayMs;
      const backup = backupAt(at, day + 1);
      lastOfMonth.set(monthOf(at), backup);
      left = kept([...left, backup], policy, zone, at);
      for (const [month, last] of lastOfMonth)
        assert.equal(
          left.includes(last) || month <= monthOf(at) - 12,
          true,
          `${names([last]).join('')} on day ${day}`,
        );
    }
  });

  it('ends with just what it would keep if it were carried out once, at the end', (test) => {
    const seed = randomInt(0x7fff_ffff);
    test.diagnostic(`seed ${seed}`);
    const gaps = fc.array(
      fc.constantFrom(hourMs / 3, hourMs, 5 * hourMs, dayMs, dayMs + hourMs, 3 * dayMs, 20 * dayMs),
      { minLength: 1, maxLength: 120 },
    );
    const number = fc.option(fc.integer({ min: 1, max: 9 }), { nil: undefined });
    const rules = fc.record({
      keep_last: number,
      keep_hourly: number,
      keep_daily: number,
      keep_weekly: number,
      keep_monthly: number,
      keep_yearly: fc.constant(2),
      keep_within: fc.option(fc.constantFrom('36h', '3d', '2w', '1mo', '1y2mo'), { nil: undefined }),
    });
    const zones = fc.constantFrom('UTC', 'Europe/Berlin', 'Australia/Lord_Howe', 'Asia/Kathmandu');
    fc.assert(
      fc.property(gaps, rules, zones, (steps, some, name) => {
        const zone = new Zone(name);
        let at = Date.UTC(2026, 9, 20);
        const { left, made, nowMs } = live(
          steps.map((step) => (at += step)),
          some,
          zone,
        );
        assert.deepEqual(names(left), names(kept(made, some, zone, nowMs)));
      }),
      { seed, numRuns: 120 },
    );
  });

  it('is done at once with a hundred thousand backups', () => {
    const zone = new Zone('Europe/Berlin');
    const all = Array.from({ length: 100_000 }, (_, hour) =>
      backupAt(Date.UTC(2015, 0) + hour * hourMs, hour + 1),
    );
    assert.equal(kept(all, { keep_hourly: 24, keep_daily: 7 }, zone, Date.UTC(2030, 0)).length, 29);
  });
});
