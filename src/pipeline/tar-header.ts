/**
 * The tar format of POSIX.1-2001 ("pax"): blocks of 512 bytes, a header before each file, and before that, where it does
 * not fit, another header of type `x` with records of `length key=value`. What is not in the standard is as GNU tar
 * writes it: extended attributes as `SCHILY.xattr.NAME`, files with holes as `GNU.sparse` 1.0.
 */
export const blockBytes = 512;

/** The type flags read or written here. */
export const typeFlags = {
  file: '0',
  hardlink: '1',
  symlink: '2',
  characterDevice: '3',
  blockDevice: '4',
  directory: '5',
  fifo: '6',
  contiguous: '7',
  paxEntry: 'x',
  paxGlobal: 'g',
  gnuLongName: 'L',
  gnuLongLink: 'K',
  volume: 'V',
} as const;

/** Where each field of a header begins, and how long it is. */
export const fields = {
  name: [0, 100],
  mode: [100, 8],
  uid: [108, 8],
  gid: [116, 8],
  size: [124, 12],
  mtime: [136, 12],
  checksum: [148, 8],
  type: [156, 1],
  link: [157, 100],
  magic: [257, 6],
  version: [263, 2],
  prefix: [345, 155],
} as const satisfies Record<string, readonly [number, number]>;

export type Field = keyof typeof fields;

/** How many bytes follow a content of that length to the end of its last block. */
export function paddingBytes(size: number): number {
  return (blockBytes - (size % blockBytes)) % blockBytes;
}

/** The sum of the bytes of a header, the checksum itself counted as spaces. */
export function checksumOf(header: Uint8Array): number {
  const [from, length] = fields.checksum;
  let sum = 0;
  for (let at = 0; at < blockBytes; at += 1)
    sum += at >= from && at < from + length ? 0x20 : (header[at] ?? 0);
  return sum;
}

/** What a header says. Names are bytes; a number that is none reads as 0. */
export interface RawHeader {
  readonly type: string;
  readonly name: Buffer;
  readonly link: Buffer;
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly size: number;
  readonly mtime: number;
}

/** Reads a header's block; undefined when its checksum does not fit. */
export function readHeader(block: Buffer): RawHeader | undefined {
  const excess = checksumOf(block) - numberIn(block, 'checksum');
  // Very old programs took bytes above 127 for negative ones.
  if (excess !== 0 && excess !== 256 * block.filter((byte) => byte > 127).length) return undefined;
  const posix = bytesIn(block, 'magic').toString('latin1') === 'ustar';
  const prefix = posix ? bytesIn(block, 'prefix') : Buffer.alloc(0);
  const name = bytesIn(block, 'name');
  return {
    type: String.fromCharCode(block[fields.type[0]] ?? 0).replace('\0', typeFlags.file),
    name: prefix.length === 0 ? name : Buffer.concat([prefix, Buffer.from('/'), name]),
    link: bytesIn(block, 'link'),
    mode: numberIn(block, 'mode'),
    uid: numberIn(block, 'uid'),
    gid: numberIn(block, 'gid'),
    size: numberIn(block, 'size'),
    mtime: numberIn(block, 'mtime'),
  };
}

function fieldOf(block: Buffer, field: Field): Buffer {
  const [at, length] = fields[field];
  return block.subarray(at, at + length);
}

/** Up to the first 0. */
function bytesIn(block: Buffer, field: Field): Buffer {
  const bytes = fieldOf(block, field);
  const end = bytes.indexOf(0);
  return Buffer.from(end === -1 ? bytes : bytes.subarray(0, end));
}

/** Octal digits, or binary with the highest bit set, as GNU tar writes what does not fit. */
function numberIn(block: Buffer, field: Field): number {
  const bytes = fieldOf(block, field);
  const [first = 0] = bytes;
  if (first < 0x80) return Number.parseInt(/[0-7]+/.exec(bytes.toString('latin1'))?.[0] ?? '0', 8);
  let value = first === 0xff ? -1n : BigInt(first & 0x7f);
  for (const byte of bytes.subarray(1)) value = value * 256n + BigInt(byte);
  return Number(value);
}

/** True for the blocks of zeros that end a tar file. */
export function isZero(block: Buffer): boolean {
  return zeros.equals(block);
}

const zeros = Buffer.alloc(blockBytes);
