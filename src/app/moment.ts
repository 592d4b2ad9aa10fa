import { failure } from '../kernel/errors/failure.ts';

const absolute =
  /^(\d{4}-\d{2}-\d{2})[T ](\d{2}:\d{2})(?::(\d{2})(?:\.(\d{1,6})\d*)?)?(?: ?(Z|UTC|[+-]\d{2}(?::?\d{2})?))?$/i;
const relative = /^(?:-(\d+) ?([a-z]+)|(\d+) ?([a-z]+) ago)$/i;
const unitsMs: Readonly<Record<string, number>> = {
  s: 1000,
  sec: 1000,
  second: 1000,
  m: 60_000,
  min: 60_000,
  minute: 60_000,
  h: 3_600_000,
  hour: 3_600_000,
  d: 86_400_000,
  day: 86_400_000,
};

/**
 * A moment as people write it, in microseconds since 1970: `2026-11-21 20:15:30.123456+01`, without an offset in local time,
 * `10 minutes ago`, `-90s`. Throws `usage`.
 */
export function parseMoment(text: string, flag: string, nowMs: number): number {
  const micros = absoluteMoment(text) ?? relativeMoment(text, nowMs);
  if (micros !== undefined) return micros;
  throw failure('usage', {
    reason: `${flag} ${text} is no moment`,
    suggestion: `write ${flag} '2026-11-21 20:15:30+00', without the offset for local time, or ${flag} '10 minutes ago'`,
  });
}

function absoluteMoment(text: string): number | undefined {
  const [match, date = '', minutes = '', seconds = '00', fraction = '', offset = ''] =
    absolute.exec(text.trim()) ?? [];
  if (match === undefined) return undefined;
  const moment = Date.parse(`${date}T${minutes}:${seconds}${isoOffset(offset)}`);
  // 2026-02-30 would be taken for a day in March.
  const day = new Date(`${date}T00:00:00Z`);
  if (Number.isNaN(moment) || Number.isNaN(day.getTime()) || !day.toISOString().startsWith(date))
    return undefined;
  return moment * 1000 + Number(fraction.padEnd(6, '0'));
}

function isoOffset(offset: string): string {
  if (offset === '') return '';
  if (/^(?:z|utc)$/i.test(offset)) return 'Z';
  const digits = offset.slice(1).replace(':', '');
  return `${offset[0]}${digits.slice(0, 2)}:${digits.slice(2) || '00'}`;
}

function relativeMoment(text: string, nowMs: number): number | undefined {
  const [match, first, firstUnit, second, secondUnit] = relative.exec(text.trim()) ?? [];
  if (match === undefined) return undefined;
  const unit = (firstUnit ?? secondUnit ?? '').toLowerCase();
  const ms = unitsMs[unit] ?? unitsMs[unit.replace(/s$/, '')];
  return ms === undefined ? undefined : (nowMs - Number(first ?? second) * ms) * 1000;
}
