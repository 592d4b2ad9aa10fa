import type { WalFacts } from '../../contract/wal.ts';
import type { CallContext } from '../../repository/model.ts';
import type { WalArchive, WalStretch } from '../../repository/wal/model.ts';
import type { WalPiece } from './reach.ts';

export interface StretchWithFacts {
  readonly stretch: WalStretch;
  readonly facts: WalFacts;
}

const requestsAtOnce = 8;
const mostUnits = 1024;

/** Stretches that the pieces need, the last one first, with what is known about them. */
export async function* stretchesBack(
  archive: WalArchive,
  pieces: readonly WalPiece[],
  context: CallContext = {},
): AsyncGenerator<StretchWithFacts, void, void> {
  for (const piece of pieces.toReversed()) {
    for await (const window of windowsBack(archive, piece, context))
      yield* withFacts(archive, window, context);
  }
}

/** Of a piece so many units at a time that little is held and little is listed in vain. */
async function* windowsBack(
  archive: WalArchive,
  { timeline, from, to }: WalPiece,
  context: CallContext,
): AsyncGenerator<WalStretch[], void, void> {
  const unit = BigInt(archive.unitBytes);
  const first = from - (from % unit);
  let end = ((to + unit - 1n) / unit) * unit;
  for (let units = 4; end > first; units = Math.min(units * 4, mostUnits)) {
    const reached = end - BigInt(units) * unit;
    const begin = reached > first ? reached : first;
    const range = { from: begin, to: end };
    const listed = await Array.fromAsync(archive.stretches(timeline, range, context));
    yield listed.filter((stretch) => stretch.end > from && stretch.start < to).toReversed();
    end = begin;
  }
}

async function* withFacts(
  archive: WalArchive,
  stretches: readonly WalStretch[],
  context: CallContext,
): AsyncGenerator<StretchWithFacts, void, void> {
  for (let at = 0; at < stretches.length; at += requestsAtOnce) {
    // The first one alone: it often is all that is wanted.
    const batch = at === 0 ? stretches.slice(0, 1) : stretches.slice(at, at + requestsAtOnce);
    const found = await Promise.all(
      batch.map(async (stretch) => ({ stretch, facts: await archive.facts(stretch, context) })),
    );
    yield* found;
    if (at === 0) at = 1 - requestsAtOnce;
  }
}
