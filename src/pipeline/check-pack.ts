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
  const blobs = [...readEntries(pack.entries)];
  const opened = decodeBlobs(keys, { salt: pack.salt, bytesOffset: 0, bytes: pack.bytes, blobs });
  const damaged = blobs.flatMap((blob, index) => {
    const result = opened[index];
    if (result === undefined || !('damage' in result)) return [];
    return [{ id: Buffer.from(blob.id).toString('hex'), reason: result.damage }];
  });
  const whole = hash('sha256', pack.bytes, 'hex') === pack.id;
  const damage = whole
    ? frameDamage(keys, pack)
    : (frameDamage(keys, pack) ?? 'its bytes do not hash to its name');
  return { damage, blobs: damaged, blobsChecked: blobs.length };
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
