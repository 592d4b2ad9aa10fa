/** Bits of a block's flags, and of its image's. */
const block = { hasImage: 0x10, sameRelation: 0x80, hasHole: 0x01, compressed: 0x1c, compressed14: 0x02 };
const lastBlockId = 32;
const ids = { short: 255, long: 254, origin: 253, topTransaction: 252 };

/**
 * The main data of a record: what its kind defines, behind what concerns blocks. `data` is all behind the record's
 * header. Undefined when it does not parse.
 */
export function mainData(data: Uint8Array, major: number | undefined): DataView | undefined {
  const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
  let at = 0;
  let blockBytes = 0;
  const end = view.byteLength;
  while (at < end) {
    const id = view.getUint8(at);
    if (id === ids.short || id === ids.long) return lastBytes(view, at, id === ids.long, blockBytes);
    if (id === ids.origin || id === ids.topTransaction) {
      at += id === ids.origin ? 3 : 5;
      continue;
    }
    const header = id <= lastBlockId ? blockHeader(view, at, major) : undefined;
    if (header === undefined) return undefined;
    at += header.length;
    blockBytes += header.dataBytes;
    if (at + blockBytes === end) break;
  }
  return at + blockBytes === end ? new DataView(data.buffer, data.byteOffset, 0) : undefined;
}

/** Behind the length come the data of the blocks, and then the main data up to the end of the record. */
function lastBytes(view: DataView, at: number, isLong: boolean, blockBytes: number): DataView | undefined {
  const headerEnd = at + (isLong ? 5 : 2);
  if (headerEnd > view.byteLength) return undefined;
  const length = isLong ? view.getUint32(at + 1, true) : view.getUint8(at + 1);
  const begin = view.byteLength - length;
  if (begin !== headerEnd + blockBytes) return undefined;
  return new DataView(view.buffer, view.byteOffset + begin, length);
}

function blockHeader(
  view: DataView,
  at: number,
  major: number | undefined,
): { length: number; dataBytes: number } | undefined {
  if (at + 4 > view.byteLength) return undefined;
  const flags = view.getUint8(at + 1);
  let dataBytes = view.getUint16(at + 2, true);
  let length = 4;
  if ((flags & block.hasImage) !== 0) {
    if (at + length + 5 > view.byteLength) return undefined;
    dataBytes += view.getUint16(at + length, true);
    const image = view.getUint8(at + length + 4);
    const isCompressed = (image & (major === 14 ? block.compressed14 : block.compressed)) !== 0;
    length += isCompressed && (image & block.hasHole) !== 0 ? 7 : 5;
  }
  length += (flags & block.sameRelation) === 0 ? 16 : 4;
  return at + length <= view.byteLength ? { length, dataBytes } : undefined;
}
