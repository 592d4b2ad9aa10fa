import assert from 'node:assert/strict';
import { randomInt } from 'node:crypto';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import type { RetentionConfig } from '../../src/contract/config-retention.ts';
import { judgeSource } from '../../src/policy/retention/judge.ts';
import type { RetentionBackup } from '../../src/policy/retention/model.ts';
import { Zone } from '../../src/policy/retention/zone.ts';
import { backupAt, dayMs, hourMs } from './backups.ts';
import { plainlyKept, type PlainPolicy } from './plain-model.ts';

const zones = [
  'UTC',
  'Europe/Berlin',
  'America/New_York',
  'Australia/Lord_Howe',
  'Asia/Kathmandu',
  'America/St_Johns',
  'Pacific/Apia',
];

/** Around the ends of summer time, of years and of months, and anywhere. */
const moments = fc.oneof(
  fc.integer({ min: Date.UTC(2009, 0), max: Date.UTC(2029, 0) }),
  fc
    .tuple(
      fc.constantFrom(
        Date.UTC(2026, 9, 25, 1),
        Date.UTC(2026, 2, 29, 1),
        Date.UTC(2026, 10, 1, 6),
        Date.UTC(2026, 3, 4, 15),
        Date.UTC(2026, 9, 3, 15, 30),
        Date.UTC(2011, 11, 30, 10),
        Date.UTC(2009, 10, 1, 2, 31),
        Date.UTC(2026, 11, 31, 23),
        Date.UTC(2024, 1, 29, 12),
      ),
      fc.integer({ min: -40, max: 40 }),
      fc.constantFrom(hourMs / 4, hourMs, dayMs / 4, dayMs, 7 * dayMs, 30 * dayMs),
    )
    .map(([around, steps, step]) => around + steps * step),
);

const backups: fc.Arbitrary<RetentionBackup[]> = fc
  .array(
    fc.record({
      at: moments,
      incomplete: fc.boolean().chain((maybe) => (maybe ? fc.boolean() : fc.constant(false))),
      imported: fc.integer({ min: 0, max: 9 }).map((n) => n === 0),
      pinned: fc.integer({ min: 0, max: 9 }).map((n) => (n === 0 ? '' : null)),
      kind: fc.integer({ min: 0, max: 9 }).map((n) => (n === 0 ? 'sqlite' : 'postgres')),
      tags: fc.constantFrom({}, {}, {}, { release: '1' }, { release: '2' }, { other: 'x' }),
    }),
    { minLength: 1, maxLength: 40 },
  )
  .map((specs) => specs.map(({ at, ...more }, index) => backupAt(at, index + 1, more)));

const count = fc.option(fc.integer({ min: 0, max: 6 }), { nil: undefined });
const policies: fc.Arbitrary<PlainPolicy> = fc
  .record({
    keep_last: count,
    keep_hourly: count,
    keep_daily: count,
    keep_weekly: count,
    keep_monthly: count,
    keep_yearly: count,
    keep_tags: fc.constantFrom(undefined, ['release'], ['release=2'], ['release=3', 'other=x']),
  })
  .filter((policy) => Object.values(policy).some((value) => Array.isArray(value) || Number(value ?? 0) > 0));

function judged(
  all: readonly RetentionBackup[],
  policy: PlainPolicy,
  zone: string,
  nowMs: number,
): ReadonlySet<string> {
  const context = { zone: new Zone(zone), nowMs, timelines: new Map() };
  const plan = judgeSource(all, policy as RetentionConfig, 'shop', context);
  for (const { reasons } of plan) assert.ok(reasons.length > 0);
  assert.deepEqual(new Set(plan.map(({ backup }) => backup)), new Set(all));
  return new Set(plan.filter(({ action }) => action === 'keep').map(({ backup }) => backup.id));
}

describe('retention and a plain model of it', () => {
  const seed = randomInt(0x7fff_ffff);

  it('keep the same of any backups, in any zone', (test) => {
    test.diagnostic(`seed ${seed}`);
    fc.assert(
      fc.property(backups, policies, fc.constantFrom(...zones), moments, (all, policy, zone, now) => {
        assert.deepEqual(judged(all, policy, zone, now), plainlyKept(all, policy, zone, now));
      }),
      { seed, numRuns: 1500 },
    );
  });

  it('say the same whatever order the backups are given in', (test) => {
    test.diagnostic(`seed ${seed}`);
    fc.assert(
      fc.property(backups, policies, fc.constantFrom(...zones), (all, policy, zone) => {
        const now = Date.UTC(2030, 0);
        assert.deepEqual(judged(all.toReversed(), policy, zone, now), judged(all, policy, zone, now));
      }),
      { seed, numRuns: 300 },
    );
  });

  it('never keep less when a rule is added or made wider', (test) => {
    test.diagnostic(`seed ${seed}`);
    const rule = fc.constantFrom('keep_last', 'keep_hourly', 'keep_daily', 'keep_weekly', 'keep_monthly');
    fc.assert(
      fc.property(backups, policies, fc.constantFrom(...zones), rule, (all, policy, zone, key) => {
        const now = Date.UTC(2030, 0);
        const wider = { ...policy, [key]: (policy[key as 'keep_last'] ?? 0) + 1 };
        assert.deepEqual(judged(all, policy, zone, now).difference(judged(all, wider, zone, now)), new Set());
      }),
      { seed, numRuns: 300 },
    );
  });
});
