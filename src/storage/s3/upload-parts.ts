/** The most parts that an upload may have. */
const mostParts = 10_000;

/** The parts of an upload, all but the last of one size; nothing is copied. */
export function* cut(bytes: Uint8Array, partBytes: number): Generator<Uint8Array> {
  const size = Math.max(partBytes, Math.ceil(bytes.byteLength / mostParts));
  for (let at = 0; at < bytes.byteLength; at += size) yield bytes.subarray(at, at + size);
}
