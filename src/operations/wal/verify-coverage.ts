import type { Lsn } from '../../postgres/lsn.ts';
import type { ArchiveView } from '../recovery/archive-view.ts';
import type { ClusterBackup } from '../recovery/backups.ts';
import type { TimelinePath } from '../recovery/history.ts';
import { clipPieces } from '../recovery/pieces.ts';
import { pathFrom, reachAlong, type WalPiece } from '../recovery/reach.ts';
import type { MissingWal } from './recoverable.ts';

/** A hole in the WAL that a recovery comes to which could go on behind it. */
export interface WalGap extends MissingWal {
  readonly path: TimelinePath;
  readonly to: Lsn;
  /** Backups whose recovery ends at it, by id. */
  readonly backups: Set<string>;
}

interface Covered {
  readonly backup: ClusterBackup;
  /** What recovery would read, along every timeline that comes from the backup. */
  readonly pieces: readonly WalPiece[];
}

/** Which WAL the backups of an archive make use of, and where it is interrupted. */
export class WalCoverage {
  readonly view: ArchiveView;
  /** By timeline and position. */
  readonly gaps = new Map<string, WalGap>();
  /** What another timeline left behind and was never stored: it may still come. */
  readonly open = new Map<string, MissingWal>();
  readonly #covered: Covered[] = [];

  private constructor(view: ArchiveView) {
    this.view = view;
  }

  static async of(
    view: ArchiveView,
    backups: readonly ClusterBackup[],
    signal: AbortSignal,
  ): Promise<WalCoverage> {
    const coverage = new WalCoverage(view);
    for (const backup of backups.toSorted((a, b) => (a.start < b.start ? -1 : a.start > b.start ? 1 : 0))) {
      signal.throwIfAborted();
      await coverage.#add(backup);
    }
    return coverage;
  }

  /** Ids of the backups whose recovery reads any of these positions. */
  usersOf(timeline: number, start: bigint, end: bigint): string[] {
    return this.#covered
      .filter(({ pieces }) =>
        pieces.some((one) => one.timeline === timeline && one.from < end && one.to > start),
      )
      .map(({ backup }) => backup.id);
  }

  /** Where the backups come to their end on WAL of that timeline: recovery must come at least there. */
  *needs(timeline: number): Generator<WalPiece, void, void> {
    for (const { backup, pieces } of this.#covered)
      for (const piece of clipPieces(pieces, this.view.segmentOf(backup.start), backup.stop))
        if (piece.timeline === timeline) yield piece;
  }

  async #add(backup: ClusterBackup): Promise<void> {
    const pieces: WalPiece[] = [];
    for (const timeline of this.view.tree.paths.keys()) {
      const path = pathFrom(this.view.tree, backup, timeline);
      if (path === undefined) continue;
      const reach = await reachAlong(this.view, backup, timeline);
      for (const piece of reach.pieces) if (!pieces.some((one) => isSame(one, piece))) pieces.push(piece);
      if (reach.end.lsn >= backup.stop && reach.gap !== null) this.#addGap(backup.id, path, reach.gap);
    }
    this.#covered.push({ backup, pieces });
  }

  #addGap(backup: string, path: TimelinePath, { timeline, from, to }: MissingWal): void {
    const key = `${timeline} ${from}`;
    if (to === null) {
      this.open.set(key, { timeline, from, to });
      return;
    }
    const known = this.gaps.get(key);
    known?.backups.add(backup);
    if (known !== undefined && known.to <= to) return;
    this.gaps.set(key, { timeline, from, to, path, backups: known?.backups ?? new Set([backup]) });
  }
}

function isSame(one: WalPiece, other: WalPiece): boolean {
  return one.timeline === other.timeline && one.from === other.from && one.to === other.to;
}
