// The checksum of a page of a PostgreSQL cluster; src/postgres/page/checksum.ts says what it is.

const PRIME: v128 = i32x4.splat(16777619);

@inline
function round(sum: v128, value: v128): v128 {
  const mixed = v128.xor(sum, value);
  return v128.xor(i32x4.mul(mixed, PRIME), i32x4.shr_u(mixed, 17));
}

@inline
function foldLanes(all: v128): u32 {
  return (
    <u32>i32x4.extract_lane(all, 0) ^
    <u32>i32x4.extract_lane(all, 1) ^
    <u32>i32x4.extract_lane(all, 2) ^
    <u32>i32x4.extract_lane(all, 3)
  );
}

/** The checksum of the page at `page`, whatever its header says: the checksum in there counts as zero. */
function checksumOf(page: usize, pageBytes: u32, block: u32): u16 {
  let a = i32x4(0x5b1f36e9, 0xb8525960, 0x02ab50aa, 0x1de66d2a);
  let b = i32x4(0x79ff467a, 0x9bb9f8a3, 0x217e7cd2, 0x83e13d2c);
  let c = i32x4(0xf8d4474f, 0xe39eb970, 0x42c6ae16, 0x993216fa);
  let d = i32x4(0x7b093b5d, 0x98daff3c, 0xf718902a, 0x0b1c9cdb);
  let e = i32x4(0xe58f764b, 0x187636bc, 0x5d7b3bb1, 0xe73de7de);
  let f = i32x4(0x92bec979, 0xcca6c0b2, 0x304a0979, 0x85aa43d4);
  let g = i32x4(0x783125bb, 0x6ca8eaa2, 0xe407eac6, 0x4b5cfc3e);
  let h = i32x4(0x9fbf8c76, 0x15ca20be, 0xf2ca9fd3, 0x959bd756);
  // Bytes 8 and 9 of the page are its checksum.
  let first = v128.and(v128.load(page), i32x4(-1, -1, 0xffff0000, -1));
  const end = page + pageBytes;
  for (let at = page; at < end; at += 128) {
    a = round(a, first);
    b = round(b, v128.load(at, 16));
    c = round(c, v128.load(at, 32));
    d = round(d, v128.load(at, 48));
    e = round(e, v128.load(at, 64));
    f = round(f, v128.load(at, 80));
    g = round(g, v128.load(at, 96));
    h = round(h, v128.load(at, 112));
    // Up to 16 bytes behind the last page are read and not used.
    first = v128.load(at, 128);
  }
  const zero = i32x4.splat(0);
  for (let i = 0; i < 2; ++i) {
    a = round(a, zero);
    b = round(b, zero);
    c = round(c, zero);
    d = round(d, zero);
    e = round(e, zero);
    f = round(f, zero);
    g = round(g, zero);
    h = round(h, zero);
  }
  const all = v128.xor(
    v128.xor(v128.xor(a, b), v128.xor(c, d)),
    v128.xor(v128.xor(e, f), v128.xor(g, h)),
  );
  return <u16>(((foldLanes(all) ^ block) % 65535) + 1);
}

/** Writes the checksums of `pages` pages that lie from `at` on, as u16 from `to` on; the first is block `block`. */
export function pageChecksums(at: usize, pages: u32, pageBytes: u32, block: u32, to: usize): void {
  for (let page: u32 = 0; page < pages; ++page) {
    store<u16>(to + (page << 1), checksumOf(at + <usize>page * pageBytes, pageBytes, block + page));
  }
}
