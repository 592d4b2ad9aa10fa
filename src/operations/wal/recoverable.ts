import { isFailure, reasonOf } from '../../kernel/errors/failure.ts';
import { formatLsn, type Lsn } from '../../postgres/lsn.ts';
import type { CallContext } from '../../repository/model.ts';
import type { ArchiveView } from '../recovery/archive-view.ts';
import type { ClusterBackup } from '../recovery/backups.ts';
import { candidateOf, type FindArchive } from '../recovery/candidates.ts';
import { latestTransaction } from '../recovery/latest-transaction.ts';
import { missingOfBackup, type Reach, type WantedTimeline } from '../recovery/reach.ts';
import { isoMicroseconds } from '../recovery/words.ts';
import { rangeWords, segmentsBetween } from './segments.ts';

/** WAL that is not there. `to` is null where nothing tells how far. */
export interface MissingWal {
  readonly timeline: number;
  readonly from: Lsn;
  readonly to: Lsn | null;
}

/** How far recovery gets from a backup, or why it gets nowhere. */
export type Outlook =
  | { readonly view: ArchiveView; readonly reach: Reach }
  | {
      /** For people. */
      readonly broken: string;
      /** Null when that is not why. */
      readonly missing: (MissingWal & { readonly to: Lsn }) | null;
    };

/** How far recovery gets from a backup; plain, for JSON. */
export interface Recoverable {
  /** The earliest moment: the end of the backup. */
  readonly from: { readonly lsn: string; readonly at: string };
  /**
   * The latest one on the timeline that a restore follows unless told otherwise; the time is that of the last transaction, null
   * when none is known behind the backup. Null when the backup cannot be restored.
   */
  readonly to: { readonly lsn: string; readonly at: string | null; readonly timeline: number } | null;
  /** What is missing behind `to`, although there is more behind it; of a backup that cannot be restored what it lacks. */
  readonly gap: { readonly timeline: number; readonly from: string; readonly to: string | null } | null;
  /** Why it cannot be restored, for people; null when it can. */
  readonly broken: string | null;
}

/** Idle servers archive segments without transactions: no more of them are looked at than that. */
const idleStretches = 64;

/** Follows the timeline that is wanted. Damage is in the answer, not thrown. */
export async function outlookOf(
  backup: ClusterBackup,
  findArchive: FindArchive,
  wanted: WantedTimeline = 'latest',
): Promise<Outlook> {
  try {
    const candidate = await candidateOf(backup, wanted, findArchive);
    if ('reach' in candidate) return { view: candidate.view, reach: candidate.reach };
    const { wal_archive: archive, system_identifier: system } = backup.metadata;
    const view = candidate.miss === 'wal_missing' ? await findArchive(archive) : undefined;
    const isOwn = view?.archive.info.system_identifier === system;
    const missing = view === undefined || !isOwn ? null : await missingOfBackup(view, backup);
    if (view === undefined || missing === null) return { broken: candidate.reason, missing: null };
    const segments = segmentsBetween(
      [{ timeline: missing.timeline, from: missing.from }],
      missing,
      view.segmentBytes,
    );
    return {
      broken: `WAL of timeline ${missing.timeline} is missing from ${rangeWords(missing, segments)}`,
      missing,
    };
  } catch (error) {
    if (!isDamage(error)) throw error;
    return { broken: reasonOf(error), missing: null };
  }
}

/** Makes outlooks plain. What was noted about the time of an end is read once for all backups that come to it. */
export class OutlookTimes {
  readonly #context: CallContext;
  /** By archive, timeline and end: what was noted last behind a position. */
  readonly #known = new Map<string, { readonly behind: Lsn; readonly atUs: Promise<number | null> }>();

  constructor(context: CallContext = {}) {
    this.#context = context;
  }

  async plain(backup: ClusterBackup, outlook: Outlook): Promise<Recoverable> {
    const from = { lsn: formatLsn(backup.stop), at: backup.metadata.stopped_at };
    if ('broken' in outlook) {
      return {
        from,
        to: null,
        gap: outlook.missing === null ? null : plainGap(outlook.missing),
        broken: outlook.broken,
      };
    }
    const { reach } = outlook;
    const { lsn } = reach.end;
    const at = await this.lastAt(backup, outlook);
    const to = {
      lsn: formatLsn(lsn),
      at: at === null ? null : isoMicroseconds(at),
      timeline: reach.timeline,
    };
    return { from, to, gap: reach.gap === null ? null : plainGap(reach.gap), broken: null };
  }

  /** The time of the last transaction behind the backup, in microseconds; null when none was noted. */
  async lastAt(
    backup: ClusterBackup,
    { view, reach }: { readonly view: ArchiveView; readonly reach: Reach },
  ): Promise<number | null> {
    const { end, timeline } = reach;
    const key = `${view.archive.id} ${timeline} ${end.lsn}`;
    let known = this.#known.get(key);
    // What is behind an earlier position is behind this one as well, or too old for this backup.
    if (known === undefined || known.behind > backup.stop) {
      known = { behind: backup.stop, atUs: latestAt(view, reach, backup.stop, this.#context) };
      this.#known.set(key, known);
    }
    const found = await known.atUs;
    return found === null || found < backup.stoppedAtUs ? null : found;
  }
}

async function latestAt(
  view: ArchiveView,
  reach: Reach,
  behind: Lsn,
  context: CallContext,
): Promise<number | null> {
  try {
    const latest = await latestTransaction(view, reach, behind, { ...context, limit: idleStretches });
    return latest?.atUs ?? null;
  } catch (error) {
    if (!isDamage(error)) throw error;
    return null;
  }
}

export function plainGap({ timeline, from, to }: MissingWal): NonNullable<Recoverable['gap']> {
  return { timeline, from: formatLsn(from), to: to === null ? null : formatLsn(to) };
}

/** Of objects: a storage that is away is another matter. */
function isDamage(error: unknown): boolean {
  return isFailure(error, 'object_missing') || (isFailure(error) && error.kind === 'integrity');
}
