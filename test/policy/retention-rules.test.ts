import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { retentionSchema, type RetentionConfig } from '../../src/contract/config-retention.ts';
import { parseSpan } from '../../src/contract/calendar-span.ts';
import { isFailure } from '../../src/kernel/errors/failure.ts';
import { judgeSource } from '../../src/policy/retention/judge.ts';
import type { RetentionBackup } from '../../src/policy/retention/model.ts';
import { Zone } from '../../src/policy/retention/zone.ts';
import { backupAt, dayMs, hourMs } from './backups.ts';

const now = Date.UTC(2026, 10, 22, 6);
const berlin = new Zone('Europe/Berlin');

function reasonsFor(all: readonly RetentionBackup[], policy: RetentionConfig, nowMs = now) {
  return judgeSource(all, policy, 'shop', { zone: berlin, nowMs, timelines: new Map() }).map(
    ({ action, reasons }) => `${action}: ${reasons.join('; ')}`,
  );
}

describe('a policy', () => {
  const empty: readonly RetentionConfig[] = [
    {},
    { keep_last: 0 },
    { keep_last: 0, keep_daily: 0, keep_yearly: 0 },
    { keep_tags: [] },
    { keep_wal: '14d' },
  ];
  for (const policy of empty)
    it(`without a rule is refused: ${JSON.stringify(policy)}`, () => {
      assert.throws(
        () => reasonsFor([backupAt(now - dayMs, 1)], policy),
        (error) => isFailure(error, 'retention_empty') && error.exitCode === 4,
      );
    });

  const wrong: readonly unknown[] = [
    { keep_dayly: 3 },
    { keep_last: -1 },
    { keep_last: 1.5 },
    { keep_last: '3' },
    { keep_last: 10_000_000 },
    { keep_within: '7' },
    { keep_within: '7m' },
    { keep_within: '0d' },
    { keep_within: '-7d' },
    { keep_within: '7d7d' },
    { keep_within: 7 },
    { keep_within: 'all' },
    { keep_tags: ['=x'] },
    { keep_tags: 'release' },
  ];
  for (const policy of wrong)
    it(`that nobody can mean is refused: ${JSON.stringify(policy)}`, () => {
      assert.equal(retentionSchema.safeParse(policy).success, false);
    });
});

describe('a span', () => {
  it('is of hours, days, weeks, months and years, one after the other', () => {
    assert.deepEqual(parseSpan('1y6mo'), { years: 1, months: 6, weeks: 0, days: 0, hours: 0 });
    assert.deepEqual(parseSpan('2 weeks 36h'), { years: 0, months: 0, weeks: 2, days: 0, hours: 36 });
  });

  it('of m says that it might be minutes or months', () => {
    const wrong = parseSpan('6m');
    assert.ok(typeof wrong === 'string');
    assert.match(wrong, /write mo for months/);
  });

  const cases: readonly (readonly [string, string, string, string, string])[] = [
    [
      'Europe/Berlin',
      '2026-10-26T02:30:00Z',
      '1d',
      '2026-10-25T02:30:00.000Z',
      'the day after one of 25 hours',
    ],
    ['Europe/Berlin', '2026-10-25T10:00:00Z', '1d', '2026-10-24T09:00:00.000Z', 'a day of 25 hours'],
    ['Europe/Berlin', '2026-03-29T10:00:00Z', '1d', '2026-03-28T11:00:00.000Z', 'a day of 23 hours'],
    ['Europe/Berlin', '2026-03-29T10:00:00Z', '24h', '2026-03-28T10:00:00.000Z', 'hours as they pass'],
    [
      'Europe/Berlin',
      '2026-10-26T01:30:00Z',
      '1d',
      '2026-10-25T00:30:00.000Z',
      'an hour that occurs twice: the earlier',
    ],
    [
      'Europe/Berlin',
      '2026-03-30T00:30:00Z',
      '1d',
      '2026-03-29T00:30:00.000Z',
      'an hour that never was: earlier',
    ],
    ['Europe/Berlin', '2026-03-31T12:00:00Z', '1mo', '2026-02-28T13:00:00.000Z', 'a month that is shorter'],
    ['UTC', '2028-02-29T12:00:00.250Z', '1y', '2027-02-28T12:00:00.250Z', 'a year without that day'],
    ['UTC', '2026-01-15T00:00:00Z', '1y2mo', '2024-11-15T00:00:00.000Z', 'years and months'],
    [
      'Australia/Lord_Howe',
      '2026-04-05T12:00:00Z',
      '1d',
      '2026-04-04T11:30:00.000Z',
      'a day of 24 and a half',
    ],
    ['Pacific/Apia', '2011-12-31T12:00:00Z', '1d', '2011-12-30T12:00:00.000Z', 'a day that never was'],
  ];
  for (const [zone, from, span, expected, what] of cases)
    it(`is counted back by the calendar: ${what} (${zone})`, () => {
      const parsed = parseSpan(span);
      assert.ok(typeof parsed !== 'string');
      assert.equal(new Date(new Zone(zone).before(Date.parse(from), parsed)).toISOString(), expected);
    });
});

describe('the reasons', () => {
  it('are all told, and for what goes, why no rule keeps it', () => {
    const all = [
      backupAt(now - 30 * dayMs, 1),
      backupAt(now - dayMs - hourMs, 2),
      backupAt(now - dayMs, 3),
      backupAt(now - hourMs, 4),
    ];
    assert.deepEqual(reasonsFor(all, { keep_last: 1, keep_daily: 2, keep_within: '7d' }), [
      'forget: not among the last 1; daily: not among the newest 2; older than 7d',
      'keep: within 7d',
      'keep: daily 2026-11-21; within 7d',
      'keep: last 1 of 1; daily 2026-11-22; within 7d; the last good backup; the newest of its source',
    ]);
    assert.deepEqual(reasonsFor(all.slice(0, 3), { keep_daily: 2 }).slice(1, 2), [
      'forget: daily 2026-11-21 is 00000003',
    ]);
  });

  it('name pins, tags, imports and clocks that run ahead', () => {
    const all = [
      backupAt(now - 90 * dayMs, 1, { pinned: 'before the move' }),
      backupAt(now - 80 * dayMs, 2, { pinned: '' }),
      backupAt(now - 70 * dayMs, 3, { tags: { release: '1.4' } }),
      backupAt(now - 60 * dayMs, 4, { imported: true }),
      backupAt(now - 50 * dayMs, 5),
      backupAt(now + dayMs, 6, { incomplete: true }),
    ];
    assert.deepEqual(reasonsFor(all, { keep_within: '1h', keep_tags: ['release'] }), [
      'keep: pinned: before the move',
      'keep: pinned',
      'keep: tag release=1.4',
      'keep: imported: only forget removes it',
      'keep: within 1h; the last good backup; the newest of its source',
      'keep: its time is in the future; the newest of its source',
    ]);
  });
});

describe('incomplete backups', () => {
  const day = (days: number, sequence: number, incomplete = false): RetentionBackup =>
    backupAt(now - days * dayMs, sequence, { incomplete });

  it('take no slot from good ones, and the last good one stays however old', () => {
    const all = [day(9, 1), day(8, 2), day(3, 3, true), day(2, 4, true), day(1, 5, true)];
    assert.deepEqual(reasonsFor(all, { keep_daily: 2 }), [
      'keep: daily 2026-11-13',
      'keep: daily 2026-11-14; the last good backup',
      'forget: daily: not among the newest 2',
      'keep: daily 2026-11-20, incomplete',
      'keep: daily 2026-11-21, incomplete; the newest of its source',
    ]);
  });

  it('go when the slots are full of good ones that are newer', () => {
    const all = [day(4, 1, true), day(3, 2), day(2, 3, true), day(1, 4)];
    assert.deepEqual(
      reasonsFor(all, { keep_daily: 2 }).map((text) => text.slice(0, 6)),
      ['forget', 'keep: ', 'keep: ', 'keep: '],
    );
    assert.deepEqual(
      reasonsFor(all, { keep_daily: 1 }).map((text) => text.slice(0, 6)),
      ['forget', 'forget', 'forget', 'keep: '],
    );
  });

  it('are kept by the rules where a source has no other', () => {
    const all = Array.from({ length: 10 }, (_, index) => day(10 - index, index + 1, true));
    assert.equal(reasonsFor(all, { keep_daily: 7 }).filter((text) => text.startsWith('keep')).length, 7);
  });
});

it('a source that is no longer backed up keeps what was within when it was', () => {
  const all = [
    backupAt(now - 403 * dayMs, 1),
    backupAt(now - 401 * dayMs, 2),
    backupAt(now - 400 * dayMs, 3),
  ];
  assert.deepEqual(
    reasonsFor(all, { keep_within: '2d' }).map((text) => text.slice(0, 6)),
    ['forget', 'keep: ', 'keep: '],
  );
});

it('the newest by a clock that ran ahead does not hide the last good one', () => {
  const all = [backupAt(now + 400 * dayMs, 1), backupAt(now - 2 * dayMs, 2), backupAt(now - dayMs, 3)];
  const told = reasonsFor(all, { keep_last: 1 });
  assert.deepEqual(told, [
    'forget: not among the last 1',
    'keep: last 1 of 1; the last good backup; the newest of its source',
    'keep: its time is in the future',
  ]);
});
