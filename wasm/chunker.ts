import { GEAR } from './layout';

/** A shift by one per byte leaves nothing of a byte that lies 64 bytes back. */
const WINDOW: usize = 64;

let minBytes: usize = 0;
let normalBytes: usize = 0;
let maxBytes: usize = 0;
let strict: u64 = 0;
let loose: u64 = 0;

/** `averageBits` is the binary logarithm of the mean size. The definition is in src/pipeline/chunker.ts. */
export function setAverage(averageBits: u32): void {
  const average: usize = (<usize>1) << averageBits;
  minBytes = average >> 2;
  normalBytes = (average >> 4) * 13;
  maxBytes = average << 2;
  strict = (<u64>1) << (62 - averageBits);
  loose = (<u64>1) << (66 - averageBits);
}

@inline
function roll(hash: u64, at: usize): u64 {
  return (hash << 1) + load<u64>(((<usize>load<u8>(at)) << 3) + GEAR);
}

/**
 * The first address in `(first, last]` such that the hash of the 64 bytes before it is below `threshold`; 0 for none.
 * It depends on `WINDOW` bytes before `first + 1` only, which is why nothing but the position needs to be kept.
 */
function findBelow(first: usize, last: usize, threshold: u64): usize {
  let hash: u64 = 0;
  for (let at = first + 1 - WINDOW; at < first; ++at) hash = roll(hash, at);
  let at = first;
  while (at + 8 <= last) {
    hash = roll(hash, at);
    if (hash < threshold) return at + 1;
    hash = roll(hash, at + 1);
    if (hash < threshold) return at + 2;
    hash = roll(hash, at + 2);
    if (hash < threshold) return at + 3;
    hash = roll(hash, at + 3);
    if (hash < threshold) return at + 4;
    hash = roll(hash, at + 4);
    if (hash < threshold) return at + 5;
    hash = roll(hash, at + 5);
    if (hash < threshold) return at + 6;
    hash = roll(hash, at + 6);
    if (hash < threshold) return at + 7;
    hash = roll(hash, at + 7);
    if (hash < threshold) return at + 8;
    at += 8;
  }
  for (; at < last; ++at) {
    hash = roll(hash, at);
    if (hash < threshold) return at + 1;
  }
  return 0;
}

/**
 * The length of the chunk that begins at `chunk`, of which `available` bytes are there; 0 when more are needed.
 * Lengths up to `scanned` are known not to be cuts.
 */
export function nextCut(chunk: usize, available: usize, scanned: usize, final: bool): usize {
  const end = min(available, maxBytes);
  // A length is tried by rolling in its last byte, so the search for lengths >= L begins at byte L - 1.
  let first = max(minBytes, scanned + 1) - 1;
  const strictEnd = min(end, normalBytes - 1);
  if (first < strictEnd) {
    const cut = findBelow(chunk + first, chunk + strictEnd, strict);
    if (cut != 0) return cut - chunk;
  }
  first = max(first, normalBytes - 1);
  if (first < end) {
    const cut = findBelow(chunk + first, chunk + end, loose);
    if (cut != 0) return cut - chunk;
  }
  return end == maxBytes || final ? end : 0;
}
