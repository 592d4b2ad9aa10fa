/** `size` bytes that do not compress and depend on nothing but the seed (xorshift32). */
export function patternedBytes(size: number, seed: number): Buffer {
  const bytes = Buffer.alloc(size);
  let state = (seed + 1) * 0x9e3779b1;
  for (let at = 0; at < size; at += 4) {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    if (at + 4 <= size) bytes.writeInt32LE(state, at);
    else for (let rest = at; rest < size; rest += 1) bytes[rest] = state >>> (8 * (rest - at));
  }
  return bytes;
}
