import {
  blockBytes,
  checksumOf,
  fields,
  paddingBytes,
  typeFlags,
  type Field,
} from '../../../pipeline/tar-header.ts';
import { xattrKey } from './xattr-key.ts';

/** A part of a file with holes that is not one. */
export interface TarExtent {
  readonly offset: number;
  readonly length: number;
}

/** One thing in a tar file. */
export interface TarMember {
  readonly type: 'file' | 'directory' | 'symlink' | 'hardlink';
  /** Any bytes but 0, relative; a directory's ends with a slash. */
  readonly name: Uint8Array;
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  /** Nanoseconds since 1970. */
  readonly mtime: bigint;
  /** Of a file: how many bytes it has, holes included. */
  readonly size: number;
  /** Of a link: where it points to. */
  readonly link?: Uint8Array | undefined;
  /** By name; values in base64. */
  readonly xattrs?: Readonly<Record<string, string>> | undefined;
  /** Of a file with holes: what is between them, in order. Only that follows the header. */
  readonly extents?: readonly TarExtent[] | undefined;
}

/** What ends a tar file. */
export const tarEnd: Uint8Array = Buffer.alloc(2 * blockBytes);

/** Zeros up to the end of the last block of a content of that length. */
export function tarPadding(size: number): Uint8Array {
  return Buffer.alloc(paddingBytes(size));
}

/** All that comes before the content. */
export function tarHeader(member: TarMember): Buffer {
  const { extents } = member;
  const map = extents === undefined ? Buffer.alloc(0) : sparseMap(extents);
  const stored = extents === undefined ? member.size : map.length + storedBytes(extents);
  const pax = new PaxRecords();
  const header = Buffer.alloc(blockBytes);
  if (extents === undefined) {
    putName(header, pax, member.name);
  } else {
    pax.add('GNU.sparse.major', '1');
    pax.add('GNU.sparse.minor', '0');
    pax.add('GNU.sparse.name', member.name);
    pax.add('GNU.sparse.realsize', String(member.size));
    putText(header, 'name', 'GNUSparseFile.0/file');
  }
  if (member.link !== undefined && !putBytes(header, 'link', member.link)) pax.add('linkpath', member.link);
  putNumber(header, pax, 'mode', member.mode);
  putNumber(header, pax, 'uid', member.uid);
  putNumber(header, pax, 'gid', member.gid);
  putNumber(header, pax, 'size', member.type === 'file' ? stored : 0);
  putTime(header, pax, member.mtime);
  for (const [name, value] of Object.entries(member.xattrs ?? {}))
    pax.add(xattrKey(name), Buffer.from(value, 'base64'));
  finish(header, typeFlags[member.type]);
  return Buffer.concat([...pax.blocks(), header, map]);
}

export function storedBytes(extents: readonly TarExtent[]): number {
  return extents.reduce((sum, { length }) => sum + length, 0);
}

function sparseMap(extents: readonly TarExtent[]): Buffer {
  const numbers = [extents.length, ...extents.flatMap(({ offset, length }) => [offset, length])];
  const map = Buffer.from(numbers.map((number) => `${number}\n`).join(''));
  return Buffer.concat([map, tarPadding(map.length)]);
}

/** Records for the header before the header; their values are any bytes. */
class PaxRecords {
  readonly #records: Buffer[] = [];

  add(key: string, value: string | Uint8Array): void {
    const content = Buffer.concat([Buffer.from(` ${key}=`), Buffer.from(value), Buffer.from('\n')]);
    // The length counts its own digits.
    let length = content.length + 1;
    while (String(length).length + content.length !== length) length = String(length).length + content.length;
    this.#records.push(Buffer.from(String(length)), content);
  }

  blocks(): Buffer[] {
    if (this.#records.length === 0) return [];
    const content = Buffer.concat(this.#records);
    const header = Buffer.alloc(blockBytes);
    putText(header, 'name', 'PaxHeaders/entry');
    putOctal(header, 'mode', 0o644);
    putOctal(header, 'uid', 0);
    putOctal(header, 'gid', 0);
    putOctal(header, 'size', content.length);
    putOctal(header, 'mtime', 0);
    finish(header, typeFlags.paxEntry);
    return [header, content, Buffer.from(tarPadding(content.length))];
  }
}

/** Up to 255 bytes fit into the header itself, when there is a slash in the right place. */
function putName(header: Buffer, pax: PaxRecords, name: Uint8Array): void {
  if (putBytes(header, 'name', name)) return;
  const bytes = Buffer.from(name);
  const slash = bytes.subarray(0, fields.prefix[1] + 1).lastIndexOf('/');
  const rest = bytes.subarray(slash + 1);
  if (slash > 0 && rest.length > 0 && putBytes(header, 'name', rest)) {
    putBytes(header, 'prefix', bytes.subarray(0, slash));
    return;
  }
  pax.add('path', name);
  putBytes(header, 'name', bytes.subarray(0, fields.name[1]));
}

function putBytes(header: Buffer, field: Field, bytes: Uint8Array): boolean {
  const [at, length] = fields[field];
  if (bytes.length > length) return false;
  header.set(bytes, at);
  return true;
}

function putText(header: Buffer, field: Field, text: string): void {
  putBytes(header, field, Buffer.from(text, 'latin1'));
}

function putOctal(header: Buffer, field: Field, value: number): void {
  const digits = fields[field][1] - 1;
  putText(header, field, `${value.toString(8).padStart(digits, '0')}\0`);
}

/** In octal where that fits, else as a record and as 0. */
function putNumber(
  header: Buffer,
  pax: PaxRecords,
  field: 'mode' | 'uid' | 'gid' | 'size',
  value: number,
): void {
  const fits = value < 8 ** (fields[field][1] - 1);
  if (!fits) pax.add(field, String(value));
  putOctal(header, field, fits ? value : 0);
}

function putTime(header: Buffer, pax: PaxRecords, mtime: bigint): void {
  const seconds = mtime / 1_000_000_000n;
  const fits = mtime >= 0n && seconds < 8n ** 11n;
  if (!fits || mtime % 1_000_000_000n !== 0n) pax.add('mtime', decimalSeconds(mtime));
  putOctal(header, 'mtime', fits ? Number(seconds) : 0);
}

/** `1.5`, `-0.000000001` */
export function decimalSeconds(nanoseconds: bigint): string {
  const size = nanoseconds < 0n ? -nanoseconds : nanoseconds;
  const fraction = String(size % 1_000_000_000n)
    .padStart(9, '0')
    .replace(/0+$/, '');
  return `${nanoseconds < 0n ? '-' : ''}${size / 1_000_000_000n}${fraction === '' ? '' : `.${fraction}`}`;
}

function finish(header: Buffer, type: string): void {
  putText(header, 'type', type);
  putText(header, 'magic', 'ustar\0');
  putText(header, 'version', '00');
  putText(header, 'checksum', `${checksumOf(header).toString(8).padStart(6, '0')}\0 `);
}
