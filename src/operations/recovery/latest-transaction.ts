import { lsnOf, type Lsn } from '../../postgres/lsn.ts';
import type { CallContext } from '../../repository/model.ts';
import type { ArchiveView } from './archive-view.ts';
import { clipPieces } from './pieces.ts';
import type { Reach } from './reach.ts';
import { stretchesBack } from './stretches-back.ts';

export interface LatestTransaction {
  readonly atUs: number;
  /** The stretch it lies in begins there; behind it there may be records that cross the borders of stretches. */
  readonly from: Lsn;
}

/** So many stretches with transactions are looked at: clocks are set back now and then, by a little. */
const stretchesToCompare = 3;

/**
 * The latest time of a transaction that recovery would replay behind a position, as far as was noted when the WAL was
 * stored. Undefined when nothing was, or not in the last `limit` stretches.
 */
export async function latestTransaction(
  view: ArchiveView,
  reach: Reach,
  behind: Lsn,
  { limit = Infinity, ...context }: CallContext & { readonly limit?: number } = {},
): Promise<LatestTransaction | undefined> {
  // What was noted about the unit in which a timeline was left holds for what came behind that point as well.
  const to = reach.strayTo === null ? reach.end.lsn : view.unitOf(reach.end.lsn);
  let found: LatestTransaction | undefined;
  let looked = 0;
  let compared = 0;
  for await (const { stretch, facts } of stretchesBack(
    view.archive,
    clipPieces(reach.pieces, behind, to),
    context,
  )) {
    looked += 1;
    if (facts.last_at_us !== null) {
      compared += 1;
      const from = found?.from ?? lsnOf(stretch.start);
      found = { from, atUs: Math.max(found?.atUs ?? facts.last_at_us, facts.last_at_us) };
    }
    if (compared === stretchesToCompare || looked >= limit) break;
  }
  return found;
}
