import type { CalendarSpan } from '../../contract/calendar-span.ts';

/** What a clock on the wall shows, and how far it is from UTC. */
export interface WallTime {
  readonly year: number;
  /** 1 to 12. */
  readonly month: number;
  readonly day: number;
  readonly hour: number;
  readonly minute: number;
  readonly second: number;
  /** Ahead of UTC, in milliseconds. */
  readonly offsetMs: number;
}

const secondMs = 1000;
const minuteMs = 60_000;
const dayMs = 86_400_000;

/** A time zone with its daylight saving time, after what the runtime knows of it. */
export class Zone {
  readonly name: string;
  readonly #format: Intl.DateTimeFormat;

  /** Throws a `RangeError` for a name that is none. */
  constructor(name: string) {
    this.name = name;
    this.#format = new Intl.DateTimeFormat('en-US', {
      timeZone: name,
      calendar: 'gregory',
      numberingSystem: 'latn',
      hourCycle: 'h23',
      year: 'numeric',
      month: '2-digit',
      day: '2-digit',
      hour: '2-digit',
      minute: '2-digit',
      second: '2-digit',
    });
  }

  /** What the clock shows at an instant, in milliseconds since 1970. */
  wallAt(instantMs: number): WallTime {
    const text = this.#format.format(instantMs);
    const match = /^(\d\d)\/(\d\d)\/(\d+), (\d\d):(\d\d):(\d\d)$/.exec(text);
    if (match === null) throw new Error(`no date: ${text}`);
    const [month = 0, day = 0, year = 0, hour = 0, minute = 0, second = 0] = match.slice(1).map(Number);
    const shownMs = Date.UTC(year, month - 1, day, hour, minute, second);
    const offsetMs = shownMs - Math.floor(instantMs / secondMs) * secondMs;
    return { year, month, day, hour, minute, second, offsetMs };
  }

  /**
   * The instant a span before another one: years and months, then weeks and days, by the clock on the wall; then hours
   * as they pass. A wall time that occurs twice, or never because the clock was put forward over it, means the earliest
   * instant that it can: that keeps more rather than less.
   */
  before(instantMs: number, span: CalendarSpan): number {
    const { years, months, weeks, days, hours } = span;
    const hoursMs = hours * 3_600_000;
    if (years + months + weeks + days === 0) return instantMs - hoursMs;
    const wall = this.wallAt(instantMs);
    const first = new Date(Date.UTC(wall.year - years, wall.month - 1 - months, 1));
    const daysInMonth = new Date(Date.UTC(first.getUTCFullYear(), first.getUTCMonth() + 1, 0)).getUTCDate();
    const date = first.getTime() + (Math.min(wall.day, daysInMonth) - 1) * dayMs - (weeks * 7 + days) * dayMs;
    const sinceMidnight = (wall.hour * 60 + wall.minute) * minuteMs + wall.second * secondMs;
    const restMs = ((instantMs % secondMs) + secondMs) % secondMs;
    return this.#instantOf(date + sinceMidnight) + restMs - hoursMs;
  }

  /** The instant at which the clock shows what a clock of UTC shows at `shownMs`, a whole second. */
  #instantOf(shownMs: number): number {
    const offsets = [shownMs - 2 * dayMs, shownMs, shownMs + 2 * dayMs].map((at) => this.wallAt(at).offsetMs);
    const candidates = offsets.map((offset) => shownMs - offset).toSorted((a, b) => a - b);
    const exact = candidates.find((at) => at + this.wallAt(at).offsetMs === shownMs);
    return exact ?? candidates[0] ?? shownMs;
  }
}
