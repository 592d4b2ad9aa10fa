import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseMoment } from '../../src/app/moment.ts';

const now = Date.parse('2026-11-21T20:00:00Z');
const at = (text: string): number => parseMoment(text, '--at', now);
const utc = (text: string): number => Date.parse(text) * 1000;

test('a moment may be written in several ways', () => {
  for (const [text, micros] of [
    ['2026-11-21 20:15:30.123456+00', utc('2026-11-21T20:15:30Z') + 123_456],
    ['2026-11-21T20:15:30Z', utc('2026-11-21T20:15:30Z')],
    ['2026-11-21 21:15+01', utc('2026-11-21T20:15:00Z')],
    ['2026-11-21 21:15:00.5+01:00', utc('2026-11-21T20:15:00Z') + 500_000],
    ['2026-11-21 14:45 -0530', utc('2026-11-21T20:15:00Z')],
    ['2026-11-21 20:15 UTC', utc('2026-11-21T20:15:00Z')],
    ['2026-11-21 20:15:00.1234567Z', utc('2026-11-21T20:15:00Z') + 123_456],
    ['10 minutes ago', utc('2026-11-21T19:50:00Z')],
    ['1 hour ago', utc('2026-11-21T19:00:00Z')],
    ['-90s', utc('2026-11-21T19:58:30Z')],
    ['-2 d', utc('2026-11-19T20:00:00Z')],
  ] as const) {
    assert.equal(at(text), micros, text);
  }
  assert.equal(at('2026-11-21 20:15'), new Date(2026, 10, 21, 20, 15).getTime() * 1000);
});

test('what is no moment is refused', () => {
  for (const text of [
    '',
    'yesterday',
    '2026-11-21',
    '2026-02-30 10:00Z',
    '2026-11-21 25:00Z',
    '10 parsecs ago',
    '10:15',
  ])
    assert.throws(() => at(text), { errorName: 'usage' }, text);
});
