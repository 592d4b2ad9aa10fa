import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import { calendarDirectory, calendarOf, calendars } from './calendars.ts';

describe('the calendars in test/policy/calendars, which people have read', () => {
  for (const { zone, file, now } of calendars)
    it(`say what is kept of three years in ${zone}`, () => {
      const expected = readFileSync(new URL(file, calendarDirectory), 'utf8');
      const help = 'read what has changed, then: node test/policy/make-calendars.ts';
      assert.equal(calendarOf(zone, now), expected, help);
    });
});
