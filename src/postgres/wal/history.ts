import { lsnOf, parseLsn, zeroLsn, type Lsn } from '../lsn.ts';

/** A timeline that another one comes from. */
export interface Ancestor {
  readonly timeline: number;
  /** Where the next one left it. */
  readonly end: Lsn;
  /** As the server noted it. */
  readonly reason: string;
}

/** Where a timeline comes from. That of timeline 1, which has no file, is `{ timeline: 1, ancestors: [] }`. */
export interface TimelineHistory {
  readonly timeline: number;
  /** The oldest first. */
  readonly ancestors: readonly Ancestor[];
}

/** The part of a way that lies on one timeline. */
export interface TimelinePart {
  readonly timeline: number;
  readonly start: Lsn;
  /** Undefined for the last one, which goes on. */
  readonly end: Lsn | undefined;
}

/** Reads `00000003.history`, the file of timeline 3. Throws an `Error` that names the line for what is none. */
export function parseTimelineHistory(timeline: number, content: string | Uint8Array): TimelineHistory {
  const text = typeof content === 'string' ? content : Buffer.from(content).toString('utf8');
  const ancestors: Ancestor[] = [];
  for (const [index, line] of text.split('\n').entries()) {
    if (/^\s*(#|$)/.test(line)) continue;
    const ancestor = parseLine(line);
    const last = ancestors.at(-1);
    const wrong =
      ancestor === undefined
        ? 'not a timeline, a position and a reason'
        : outOfOrder(ancestor, last, timeline);
    if (ancestor === undefined || wrong !== undefined) {
      throw new Error(`line ${index + 1} of the history of timeline ${timeline} is ${wrong}: ${shown(line)}`);
    }
    ancestors.push(ancestor);
  }
  return { timeline, ancestors };
}

function parseLine(line: string): Ancestor | undefined {
  const [, digits = '', position = '', reason = ''] = /^\s*(\d{1,10})\s+(\S+)(?:\s+(.*))?$/.exec(line) ?? [];
  const timeline = Number(digits);
  const end = parseLsn(position);
  if (end === undefined || timeline < 1 || timeline > 0xffff_ffff) return undefined;
  return { timeline, end, reason: reason.trimEnd() };
}

function outOfOrder(ancestor: Ancestor, last: Ancestor | undefined, timeline: number): string | undefined {
  if (ancestor.timeline >= timeline) return 'of a timeline that is not older';
  if (last === undefined) return undefined;
  if (ancestor.timeline <= last.timeline) return 'of a timeline that is not newer than the one before';
  return ancestor.end < last.end ? 'of a position before the one above' : undefined;
}

function shown(line: string): string {
  return JSON.stringify(line.length > 100 ? `${line.slice(0, 100)}…` : line);
}

/** Whether WAL of `timeline` is part of the history: it is the history's own timeline, or one that it comes from. */
export function comesFrom(history: TimelineHistory, timeline: number): boolean {
  return timeline === history.timeline || leftAt(history, timeline) !== undefined;
}

/** Where the history left an ancestor; undefined for every timeline that is none. */
export function leftAt(history: TimelineHistory, timeline: number): Lsn | undefined {
  return history.ancestors.find((ancestor) => ancestor.timeline === timeline)?.end;
}

/** The timeline that the byte at a position is of. */
export function timelineAt(history: TimelineHistory, lsn: Lsn): number {
  return history.ancestors.find(({ end }) => lsn < end)?.timeline ?? history.timeline;
}

/** Whether a server that has come to `lsn` on `timeline` can go on to the history's timeline. */
export function canFollow(history: TimelineHistory, timeline: number, lsn: Lsn): boolean {
  const left = leftAt(history, timeline);
  return timeline === history.timeline || (left !== undefined && lsn <= left);
}

/** The way of recovery from a position on: which timeline it reads from where to where. */
export function timelinePath(history: TimelineHistory, from: Lsn = zeroLsn): TimelinePart[] {
  const parts: TimelinePart[] = [];
  let start = from;
  for (const { timeline, end } of history.ancestors) {
    if (end <= start) continue;
    parts.push({ timeline, start, end });
    start = end;
  }
  parts.push({ timeline: history.timeline, start, end: undefined });
  return parts;
}

/**
 * The timelines whose file of a segment recovery would read, the first one that is there: the newest first, for the
 * segment in which a timeline begins is copied from the older one up to there.
 */
export function timelinesOfSegment(history: TimelineHistory, start: Lsn, segmentBytes: number): number[] {
  const end = lsnOf(start + BigInt(segmentBytes));
  return timelinePath(history)
    .filter((part) => part.start < end && (part.end === undefined || part.end > start))
    .map((part) => part.timeline)
    .toReversed();
}
