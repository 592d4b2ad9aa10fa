/** A stretch of the calendar, as people mean it: a month back from 31 March is 28 February, a day may have 23 hours. */
export interface CalendarSpan {
  readonly years: number;
  readonly months: number;
  readonly weeks: number;
  readonly days: number;
  readonly hours: number;
}

const units: Readonly<Record<string, keyof CalendarSpan>> = {
  h: 'hours',
  hour: 'hours',
  hours: 'hours',
  d: 'days',
  day: 'days',
  days: 'days',
  w: 'weeks',
  week: 'weeks',
  weeks: 'weeks',
  mo: 'months',
  month: 'months',
  months: 'months',
  y: 'years',
  year: 'years',
  years: 'years',
};
const whole = /^(?:\d{1,6} ?[a-z]+ ?)+$/;
const part = /(\d{1,6}) ?([a-z]+)/g;

/** What a span may look like, for people. */
export const spanForms = 'a time such as 12h, 7d, 4w, 6mo, 1y or 1y6mo';

/**
 * Reads `7d`, `6mo`, `1y 6mo`. What is wrong with a text that is none is answered as text: `m` might be minutes or
 * months, and to take one for the other would remove nearly everything, so it is neither.
 */
export function parseSpan(text: string): CalendarSpan | string {
  const clean = text.trim().toLowerCase();
  if (!whole.test(clean)) return `must be ${spanForms}`;
  const span: Record<keyof CalendarSpan, number> = { years: 0, months: 0, weeks: 0, days: 0, hours: 0 };
  const seen = new Set<string>();
  for (const [, digits = '', unit = ''] of clean.matchAll(part)) {
    const field = Object.hasOwn(units, unit) ? units[unit] : undefined;
    if (unit === 'm')
      return `must be ${spanForms}: m is neither minutes nor months here, write mo for months`;
    if (field === undefined || seen.has(field)) return `must be ${spanForms}`;
    seen.add(field);
    span[field] = Number(digits);
  }
  return Object.values(span).some((count) => count > 0) ? span : `must be ${spanForms}, and not nothing`;
}
