import { CRC } from './layout';

/** The polynomial of Castagnoli, its bits reversed. */
const POLYNOMIAL: u32 = 0x82f63b78;
/** Bytes of one table: 256 u32. */
const TABLE: usize = 1024;

/** Fills the tables that the other functions need: table k tells what a byte does that k more bytes follow. */
export function prepareCrc32c(): void {
  for (let byte: u32 = 0; byte < 256; ++byte) {
    let value = byte;
    for (let bit = 0; bit < 8; ++bit) value = (value >> 1) ^ (POLYNOMIAL & (0 - (value & 1)));
    store<u32>(CRC + ((<usize>byte) << 2), value);
  }
  for (let at: usize = CRC; at < CRC + 15 * TABLE; at += 4) {
    const value = load<u32>(at);
    store<u32>(at + TABLE, (value >> 8) ^ load<u32>(CRC + ((<usize>(value & 0xff)) << 2)));
  }
}

@inline
function entry(table: usize, word: u64, shift: u64): u32 {
  return load<u32>(CRC + table * TABLE + ((<usize>((word >> shift) & 0xff)) << 2));
}

/** What the word does that 8 * `behind` bytes follow. */
@inline
function fold(word: u64, behind: usize): u32 {
  return (
    entry(behind * 8 + 7, word, 0) ^
    entry(behind * 8 + 6, word, 8) ^
    entry(behind * 8 + 5, word, 16) ^
    entry(behind * 8 + 4, word, 24) ^
    entry(behind * 8 + 3, word, 32) ^
    entry(behind * 8 + 2, word, 40) ^
    entry(behind * 8 + 1, word, 48) ^
    entry(behind * 8, word, 56)
  );
}

/** Takes `length` bytes at `at` into a sum begun with all bits set; the checksum is its complement. */
export function updateCrc32c(crc: u32, at: usize, length: usize): u32 {
  const end = at + length;
  while (at + 16 <= end) {
    crc = fold(load<u64>(at) ^ crc, 1) ^ fold(load<u64>(at + 8), 0);
    at += 16;
  }
  if (at + 8 <= end) {
    crc = fold(load<u64>(at) ^ crc, 0);
    at += 8;
  }
  for (; at < end; ++at) crc = (crc >> 8) ^ entry(0, <u64>(crc ^ load<u8>(at)), 0);
  return crc;
}

/** The checksum of a WAL record that lies in one piece: of all behind its header, then of the header up to the sum. */
export function walRecordCrc32c(at: usize, length: usize): u32 {
  return ~updateCrc32c(updateCrc32c(0xffffffff, at + 24, length - 24), at, 20);
}
