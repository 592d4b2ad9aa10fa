import { failure } from '../../../kernel/errors/failure.ts';
import { readHeader, type RawHeader } from '../../../pipeline/tar-header.ts';
import { xattrName } from './xattr-key.ts';

/** Facts of a member as records before its header, or as one for all that follow, say them; values are bytes. */
export type PaxRecords = ReadonlyMap<string, Buffer>;

/** Reads a header's block. Throws `import_damaged` when its checksum does not fit. */
export function parseHeader(block: Buffer, file: string): RawHeader {
  const header = readHeader(block);
  if (header !== undefined) return header;
  throw failure('import_damaged', { file, reason: 'the checksum of a header does not fit' });
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
