import type { Lsn } from '../../postgres/lsn.ts';
import type { Reach, WalPiece } from './reach.ts';

/** What of the pieces lies between two positions. */
export function clipPieces(pieces: readonly WalPiece[], from: Lsn, to: Lsn): WalPiece[] {
  return pieces
    .map((piece) => ({
      timeline: piece.timeline,
      from: piece.from < from ? from : piece.from,
      to: piece.to > to ? to : piece.to,
    }))
    .filter((piece) => piece.from < piece.to);
}

/** What is left of pieces when the ends of them that were looked through before are taken off. */
export function withoutSearched(pieces: readonly WalPiece[], searched: readonly WalPiece[]): WalPiece[] {
  const left: WalPiece[] = [];
  for (const piece of pieces) {
    let { to } = piece;
    for (const { timeline, from, to: end } of searched)
      if (timeline === piece.timeline && from < to && end >= to) to = from;
    if (to > piece.from) left.push({ ...piece, to });
  }
  return left;
}

/** What recovery reads behind a position. */
export function piecesBehind(reach: Reach, position: Lsn): WalPiece[] {
  return clipPieces(reach.pieces, position, reach.end.lsn);
}
