import { reasonOf } from '../../kernel/errors/failure.ts';
import { zeroLsn, type Lsn } from '../../postgres/lsn.ts';
import { parseTimelineHistory, timelinePath } from '../../postgres/wal/history.ts';
import { historyName, parseWalFileName } from '../../postgres/wal/names.ts';
import type { CallContext } from '../../repository/model.ts';
import type { WalArchive } from '../../repository/wal/model.ts';

/** The part of a timeline that belongs to a history. */
export interface TimelineStep {
  readonly timeline: number;
  readonly from: Lsn;
  /** Where the next timeline begins; null for the last one, which has no end yet. */
  readonly to: Lsn | null;
}

/** What a server on the last of these timelines went through, the oldest first. */
export type TimelinePath = readonly TimelineStep[];

export interface HistoryProblem {
  readonly timeline: number;
  /** `00000002.history` */
  readonly file: string;
  /** For people; null when the file is not there. */
  readonly damage: string | null;
}

export interface TimelineTree {
  /** Ascending. A timeline whose history file is missing has no ancestors here; one whose file is damaged is left out. */
  readonly paths: ReadonlyMap<number, TimelinePath>;
  readonly problems: readonly HistoryProblem[];
}

/** Reads where the timelines of an archive come from. Damaged histories are told of, not thrown. */
export async function readTimelines(archive: WalArchive, context: CallContext = {}): Promise<TimelineTree> {
  // First, for a history is stored before the WAL of its timeline.
  const withWal = await archive.timelines(context);
  const withFile = new Set<number>();
  for await (const name of archive.files(context)) {
    const parsed = parseWalFileName(name);
    if (parsed?.kind === 'history') withFile.add(parsed.timeline);
  }
  const all = new Set([...withFile, ...withWal]);
  const paths = new Map<number, TimelinePath>();
  const problems: HistoryProblem[] = [];
  for (const timeline of [...all].toSorted((a, b) => a - b)) {
    const file = historyName(timeline);
    const path = withFile.has(timeline)
      ? await readPath(archive, timeline, context)
      : withoutHistory(timeline);
    if (typeof path === 'string') problems.push({ timeline, file, damage: path });
    else paths.set(timeline, path);
    if (timeline !== 1 && !withFile.has(timeline)) problems.push({ timeline, file, damage: null });
  }
  return { paths, problems };
}

/** As PostgreSQL takes a timeline that it finds no history of. */
function withoutHistory(timeline: number): TimelinePath {
  return [{ timeline, from: zeroLsn, to: null }];
}

/** The history, or what is wrong with its file. */
async function readPath(
  archive: WalArchive,
  timeline: number,
  context: CallContext,
): Promise<TimelinePath | string> {
  try {
    const bytes = await archive.getFile(historyName(timeline), context);
    return bytes === undefined ? withoutHistory(timeline) : pathOf(timeline, bytes);
  } catch (error) {
    context.signal?.throwIfAborted();
    return reasonOf(error);
  }
}

/** The way to a timeline, from its file; an `Error` names the line of one that PostgreSQL would refuse as well. */
export function pathOf(timeline: number, content: string | Uint8Array): TimelinePath {
  return timelinePath(parseTimelineHistory(timeline, content)).map(({ timeline: of, start, end }) => {
    return { timeline: of, from: start, to: end ?? null };
  });
}

/** The timeline it branched off from, and where; undefined for one that has no known parent. */
export function forkOf(path: TimelinePath): { readonly parent: number; readonly at: Lsn } | undefined {
  const parent = path.at(-2);
  const own = path.at(-1);
  return parent === undefined || own === undefined ? undefined : { parent: parent.timeline, at: own.from };
}
