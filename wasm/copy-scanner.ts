import { RESULT } from './layout';

// The fingerprint is a format: its definition is in src/pipeline/copy-scanner.ts and must be kept.
// Each constant is the first 8 bytes (big-endian, made odd) of the SHA-256 of "holdfast copy fingerprint 1 <name>".
const SEED: u64 = 0x18f2274b8a6917d5; // seed
const A: u64 = 0xb0ae361667181147;
const B: u64 = 0xdfe6bb7b41970fc5;
const C: u64 = 0x8cd2c41d93e7a491;
const D1: u64 = 0xbb3fd2e26e232013;
const E1: u64 = 0x5fae839ff48d7d7d;
const D2: u64 = 0x10b4d446cf509ce9;
const E2: u64 = 0x862b9d9077072383;

const NEWLINES: u64 = 0x0a0a0a0a0a0a0a0a;
const LOW_BITS: u64 = 0x0101010101010101;
const HIGH_BITS: u64 = 0x8080808080808080;
const NEWLINE: u64 = 0x0a;
/** The bytes of `\.` as a word. */
const END_MARK: u64 = 0x2e5c;

// The row under way: its hash over whole words, its length so far, and the bytes of its unfinished word
// (their number is the length modulo 8).
let rowHash: u64 = SEED;
let rowBytes: u64 = 0;
let rowWord: u64 = 0;

let rows: u64 = 0;
let bytes: u64 = 0;
let sumA: u64 = 0;
let sumB: u64 = 0;
let endMarkSeen: bool = false;

@inline
function absorb(hash: u64, word: u64): u64 {
  return rotl<u64>(hash ^ (rotl<u64>(word * A, 31) * B), 27) * C;
}

@inline
function avalanche(hash: u64, d: u64, e: u64): u64 {
  hash = (hash ^ (hash >> 32)) * d;
  hash = (hash ^ (hash >> 29)) * e;
  return hash ^ (hash >> 32);
}

@inline
function isEndMark(length: u64, word: u64): bool {
  return length == 2 && word == END_MARK;
}

export function resetRows(): void {
  rowHash = SEED;
  rowBytes = 0;
  rowWord = 0;
  rows = 0;
  bytes = 0;
  sumA = 0;
  sumB = 0;
  endMarkSeen = false;
}

/** Ends a row of `length` bytes whose whole words are in `hash` and whose last, unfinished (or empty) one is `word`. */
@inline
function endRow(hash: u64, word: u64, length: u64): void {
  if (isEndMark(length, word)) {
    endMarkSeen = true;
    return;
  }
  hash = absorb(hash, word) ^ length;
  sumA += avalanche(hash, D1, E1);
  sumB += avalanche(hash, D2, E2);
  rows += 1;
  bytes += length + 1;
}

/** The slow way, for the few bytes before and after those that `scanWords` can take. */
function takeByte(byte: u64): void {
  if (byte == NEWLINE) {
    endRow(rowHash, rowWord, rowBytes);
    rowHash = SEED;
    rowBytes = 0;
    rowWord = 0;
    return;
  }
  rowWord |= byte << ((rowBytes & 7) << 3);
  rowBytes += 1;
  if ((rowBytes & 7) == 0) {
    rowHash = absorb(rowHash, rowWord);
    rowWord = 0;
  }
}

/** Takes 8 bytes at a time, from a place where no word is unfinished; returns where fewer than 8 are left. */
function scanWords(at: usize, end: usize): usize {
  let hash = rowHash;
  // A virtual address: where the row would have begun, had all of it been in this buffer.
  let start = <u64>at - rowBytes;
  while (at + 8 <= end) {
    const word = load<u64>(at);
    const differences = word ^ NEWLINES;
    // Sets the high bit of each byte that is zero. It may err above the lowest such byte, never below it.
    const hits = (differences - LOW_BITS) & ~differences & HIGH_BITS;
    if (hits == 0) {
      hash = absorb(hash, word);
      at += 8;
      continue;
    }
    at += <usize>(ctz<u64>(hits) >> 3);
    endRow(hash, word & (((hits & (0 - hits)) - 1) >> 7), <u64>at - start);
    hash = SEED;
    ++at;
    start = <u64>at;
    if (endMarkSeen) break;
  }
  rowHash = hash;
  rowBytes = <u64>at - start;
  return at;
}

/** Takes the next `length` bytes of rows, from `at`. What follows the end mark is no row. */
export function scanRows(at: usize, length: usize): void {
  const end = at + length;
  while (at < end && (rowBytes & 7) != 0 && !endMarkSeen) takeByte(load<u8>(at++));
  if (!endMarkSeen) at = scanWords(at, end);
  while (at < end && !endMarkSeen) takeByte(load<u8>(at++));
}

/** Writes rows, bytes and both sums to `RESULT`, a row without its newline counted as one; changes no state. */
export function finishRows(): void {
  const pending = isEndMark(rowBytes, rowWord) ? 0 : rowBytes;
  let a = sumA;
  let b = sumB;
  let count = rows;
  if (pending != 0) {
    const hash = absorb(rowHash, rowWord) ^ pending;
    a += avalanche(hash, D1, E1);
    b += avalanche(hash, D2, E2);
    count += 1;
  }
  store<u64>(RESULT, count);
  store<u64>(RESULT + 8, bytes + pending);
  store<u64>(RESULT + 16, a);
  store<u64>(RESULT + 24, b);
}
