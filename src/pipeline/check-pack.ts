import { hash } from 'node:crypto';
import { decodeBlobs } from './decode.ts';
import type { PipelineKeys } from './keys.ts';
import {
  footerHeader,
  footerHeaderBytes,
  parseTrailer,
  readEntries,
  recordHeader,
  recordHeaderBytes,
  trailerBytes,
} from './pack-format.ts';
import { headerBytes, headerWithSalt, ObjectSeal } from './seal.ts';

export interface PackToCheck {
  /** Hex; the SHA-256 the bytes must have. */
  readonly id: string;
  readonly bytes: Uint8Array;
  readonly salt: Uint8Array;
  /** Rows the index has for it. */
  readonly entries: Uint8Array;
}

export interface PackFindings {
  /** Why the pack as a whole is not as it was written; null when it is. */
  readonly damage: string | null;
  /** Blobs that cannot be opened: id in hex and why. */
  readonly blobs: readonly { readonly id: string; readonly reason: string }[];
  readonly blobsChecked: number;
}

/** Checks every byte of a pack: its hash, both headers, the footer, each record's header and each blob. */
export function checkPack(keys: PipelineKeys, pack: PackToCheck): PackFindings {
  const { salt, bytes, entries: rows } = pack;
  const ids = readEntries(rows);
  const damaged: { id: string; reason: string }[] = [];
  let blobsChecked = 0;
  for (const result of decodeBlobs(keys, { salt, bytesOffset: 0, bytes, rows })) {
    const id = ids.next().value?.id ?? new Uint8Array(0);
    if ('damage' in result) damaged.push({ id: Buffer.from(id).toString('hex'), reason: result.damage });
    blobsChecked += 1;
  }
  const whole = hash('sha256', pack.bytes, 'hex') === pack.id;
  const damage = whole
    ? frameDamage(keys, pack)
    : (frameDamage(keys, pack) ?? 'its bytes do not hash to its name');
  return { damage, blobs: damaged, blobsChecked };
}

/** What is wrong with the parts of a pack that are not blobs. */
function frameDamage(keys: PipelineKeys, pack: PackToCheck): string | null {
  const { bytes } = pack;
  const header = headerWithSalt(keys, 'pack', pack.salt);
  if (!same(bytes.subarray(0, headerBytes), header)) return 'its header is damaged';
  const end = parseTrailer(bytes.subarray(-trailerBytes), bytes.length);
  if (end === undefined) return 'its trailer is damaged or it was cut';
  if (!same(end.header, header)) return 'the copy of its header is damaged';
  for (const blob of readEntries(pack.entries)) {
    const found = bytes.subarray(blob.offset, blob.offset + recordHeaderBytes);
    if (!same(found, recordHeader(blob))) return `the header of the record at ${blob.offset} is damaged`;
  }
  const count = Buffer.from(
    bytes.buffer,
    bytes.byteOffset + end.footerOffset,
    footerHeaderBytes,
  ).readUInt32LE(4);
  const stored = bytes.subarray(end.footerOffset + footerHeaderBytes, bytes.length - trailerBytes);
  try {
    const additional = footerHeader(count, end.footerStoredLength);
    const entries = new ObjectSeal(keys, header).open(end.footerOffset, additional, stored);
    return same(entries, pack.entries) ? null : 'its footer does not tell what the index tells';
  } catch {
    return 'its footer is damaged';
  }
}

function same(a: Uint8Array, b: Uint8Array): boolean {
  return Buffer.compare(a, b) === 0;
}
