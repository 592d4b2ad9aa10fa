/** What {@link Storage.put} takes, as a list. */
export function partsOf(data: Uint8Array | readonly Uint8Array[]): readonly Uint8Array[] {
  return data instanceof Uint8Array ? [data] : data;
}

/** Bytes of all parts together. */
export function sizeOf(parts: readonly Uint8Array[]): number {
  return parts.reduce((sum, part) => sum + part.byteLength, 0);
}

/** A fresh copy of all parts in one piece. */
export function joinParts(parts: readonly Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(sizeOf(parts));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.byteLength;
  }
  return whole;
}

/** The parts in order, cut so that no piece is longer than `maxBytes`; nothing is copied. */
export function* pieces(parts: readonly Uint8Array[], maxBytes: number): Generator<Uint8Array> {
  for (const part of parts) {
    for (let at = 0; at < part.byteLength; at += maxBytes) yield part.subarray(at, at + maxBytes);
  }
}
