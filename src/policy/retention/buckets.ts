import type { WallTime } from './zone.ts';

/** Stretches of the calendar of which the newest backup is kept. */
export type BucketKind = 'hourly' | 'daily' | 'weekly' | 'monthly' | 'yearly';

const dayMs = 86_400_000;

/**
 * The name of the bucket that a time lies in: `2026-11-21`, `2026-W47`. Names tell buckets apart exactly, whatever the
 * clocks do: an hour that occurs twice is two hours, `02:00+02:00` and `02:00+01:00`.
 */
export function bucketOf(kind: BucketKind, wall: WallTime): string {
  const month = `${String(wall.year).padStart(4, '0')}-${two(wall.month)}`;
  switch (kind) {
    case 'hourly':
      return `${month}-${two(wall.day)} ${two(wall.hour)}:00${offsetText(wall.offsetMs)}`;
    case 'daily':
      return `${month}-${two(wall.day)}`;
    case 'weekly':
      return isoWeek(wall);
    case 'monthly':
      return month;
    case 'yearly':
      return month.slice(0, -3);
  }
}

/** Weeks begin on Mondays, and belong to the year that their Thursday is in. */
function isoWeek({ year, month, day }: WallTime): string {
  const date = Date.UTC(year, month - 1, day);
  const weekday = (new Date(date).getUTCDay() + 6) % 7;
  const thursday = new Date(date + (3 - weekday) * dayMs);
  const weekYear = thursday.getUTCFullYear();
  const week = Math.floor((thursday.getTime() - Date.UTC(weekYear, 0, 1)) / (7 * dayMs)) + 1;
  return `${String(weekYear).padStart(4, '0')}-W${two(week)}`;
}

function offsetText(offsetMs: number): string {
  const minutes = Math.floor(Math.abs(offsetMs) / 60_000);
  return `${offsetMs < 0 ? '-' : '+'}${two(Math.floor(minutes / 60))}:${two(minutes % 60)}`;
}

function two(value: number): string {
  return String(value).padStart(2, '0');
}
