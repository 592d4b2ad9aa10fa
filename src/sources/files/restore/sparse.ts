const blockBytes = 4096;
const zeros = Buffer.alloc(blockBytes);

/** A part of a piece of a file: from its `from`th byte to before its `to`th. */
export interface Range {
  readonly from: number;
  readonly to: number;
}

/**
 * The parts of a piece that must be written so that the blocks of a new file which hold only zeros stay holes.
 * `position` is where in the file the piece begins.
 */
export function dataRanges(piece: Uint8Array, position: number): Range[] {
  const ranges: Range[] = [];
  const bytes = Buffer.from(piece.buffer, piece.byteOffset, piece.length);
  let begin: number | undefined;
  for (let from = 0; from < bytes.length;) {
    const to = Math.min(bytes.length, from + blockBytes - ((position + from) % blockBytes));
    const empty = zeros.compare(bytes, from, to, 0, to - from) === 0;
    if (empty && begin !== undefined) ranges.push({ from: begin, to: from });
    begin = empty ? undefined : (begin ?? from);
    from = to;
  }
  if (begin !== undefined) ranges.push({ from: begin, to: bytes.length });
  return ranges;
}

/** The whole piece, unless the file is to have holes. */
export function rangesToWrite(piece: Uint8Array, position: number, sparse: boolean): Range[] {
  if (piece.length === 0) return [];
  return sparse ? dataRanges(piece, position) : [{ from: 0, to: piece.length }];
}
