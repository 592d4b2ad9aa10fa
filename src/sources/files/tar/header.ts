import { failure } from '../../../kernel/errors/failure.ts';
import { blockBytes, checksumOf, fields, typeFlags, xattrName, type Field } from './format.ts';

/** Facts of a member as records before its header, or as one for all that follow, say them; values are bytes. */
export type PaxRecords = ReadonlyMap<string, Buffer>;

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

/** Reads a header's block. Throws `import_damaged` when its checksum does not fit. */
export function parseHeader(block: Buffer, file: string): RawHeader {
  const checksum = numberIn(block, 'checksum');
  // Very old programs took bytes above 127 for negative ones.
  const signed = block.reduce((sum, byte) => sum - (byte > 127 ? 256 : 0), checksumOf(block));
  if (checksum !== checksumOf(block) && checksum !== signed)
    throw failure('import_damaged', { file, reason: 'the checksum of a header does not fit' });
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

/** Reads `length key=value` records. Throws `import_damaged`. */
export function parsePax(content: Buffer, file: string): Map<string, Buffer> {
  const records = new Map<string, Buffer>();
  for (let at = 0; at < content.length;) {
    const space = content.indexOf(0x20, at);
    const length = Number(content.toString('latin1', at, space === -1 ? at : space));
    const record = content.subarray(space + 1, at + length - 1);
    const equals = record.indexOf('=');
    if (
      space === -1 ||
      !Number.isSafeInteger(length) ||
      length < 5 ||
      at + length > content.length ||
      equals < 1
    )
      throw failure('import_damaged', { file, reason: 'records before a header do not parse' });
    records.set(record.toString('utf8', 0, equals), Buffer.from(record.subarray(equals + 1)));
    at += length;
  }
  return records;
}

/** A decimal number of seconds as nanoseconds; further digits are cut off. */
export function nanoseconds(text: string): bigint | undefined {
  const [, sign = '', whole = '', fraction = ''] = /^(-?)(\d+)(?:\.(\d*))?$/.exec(text.trim()) ?? [];
  if (whole === '') return undefined;
  const size = BigInt(whole) * 1_000_000_000n + BigInt(fraction.slice(0, 9).padEnd(9, '0'));
  return sign === '-' ? -size : size;
}

/** Extended attributes by name, values in base64; undefined when there are none. */
export function xattrsIn(records: PaxRecords): Record<string, string> | undefined {
  const found: [string, string][] = [];
  for (const [key, value] of records) {
    if (key.startsWith('SCHILY.xattr.')) found.push([xattrName(key), value.toString('base64')]);
    else if (key === 'RHT.security.selinux') found.push(['security.selinux', value.toString('base64')]);
  }
  return found.length === 0 ? undefined : Object.fromEntries(found);
}

/** True for the blocks of zeros that end a tar file. */
export function isZero(block: Buffer): boolean {
  return zeros.equals(block);
}

const zeros = Buffer.alloc(blockBytes);
