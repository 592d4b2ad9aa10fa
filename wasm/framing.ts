// pg_dump's custom format stores a data block as pieces: an integer (a sign byte, then 4 bytes, little-endian) and
// as many bytes. A piece of length 0 ends the block.

const HEADER_BYTES: u32 = 5;
const COPYING: u32 = 0;
const ENDED: u32 = 1;
const NEGATIVE: u32 = 2;
const TOO_LONG: u32 = 3;

/** Bytes still to come of the piece under way. */
let pieceLeft: usize = 0;
/** The header under way: how many of its bytes are here, and those bytes as a number. */
let headerFilled: u32 = 0;
let header: u64 = 0;
let state: u32 = COPYING;
let produced: usize = 0;

export function resetFraming(): void {
  pieceLeft = 0;
  headerFilled = 0;
  header = 0;
  state = COPYING;
}

/** 0: more is to come; 1: the block has ended; 2: a negative length was met; 3: a length over 2^31 - 1. */
export function framingState(): u32 {
  return state;
}

/** How many bytes the last call of `stripFraming` wrote. */
export function producedBytes(): usize {
  return produced;
}

/** Copies 16 bytes at a time: reads and writes up to 15 bytes past the end, which both buffers have to spare. */
@inline
function copyOver(to: usize, from: usize, count: usize): void {
  const end = from + count;
  while (from < end) {
    v128.store(to, v128.load(from));
    from += 16;
    to += 16;
  }
}

function beginPiece(value: u64): void {
  const length = value >> 8;
  if ((value & 0xff) != 0) state = NEGATIVE;
  else if (length > 0x7fffffff) state = TOO_LONG;
  else if (length == 0) state = ENDED;
  else pieceLeft = <usize>length;
}

/** Strips the framing of `count` bytes at `from` and writes their content to `to`; returns the bytes consumed. */
export function stripFraming(from: usize, count: usize, to: usize): usize {
  const begin = from;
  const end = from + count;
  const out = to;
  while (from < end && state == COPYING) {
    if (pieceLeft != 0) {
      const part = min(pieceLeft, end - from);
      if (part > 512) memory.copy(to, from, part);
      else copyOver(to, from, part);
      to += part;
      from += part;
      pieceLeft -= part;
    } else if (headerFilled == 0 && end - from >= 8) {
      beginPiece(load<u64>(from) & 0xffffffffff);
      from += HEADER_BYTES;
    } else {
      header |= <u64>load<u8>(from) << (<u64>headerFilled << 3);
      ++from;
      if (++headerFilled == HEADER_BYTES) {
        beginPiece(header);
        headerFilled = 0;
        header = 0;
      }
    }
  }
  produced = to - out;
  return from - begin;
}
