import { failure, reasonOf } from '../kernel/errors/failure.ts';
import type { BlobLocation } from '../pipeline/blob.ts';
import type { PipelineKeys } from '../pipeline/keys.ts';
import {
  footerEntryBytes,
  footerHeader,
  footerHeaderBytes,
  parseRecordHeader,
  parseTrailer,
  recordHeaderBytes,
  trailerBytes,
  writeEntry,
} from '../pipeline/pack-format.ts';
import { headerBytes, ObjectSeal, saltOfHeader } from '../pipeline/seal.ts';
import type { Storage } from '../storage/port.ts';
import type { IndexedPack } from './index-object.ts';
import { packObject } from './layout.ts';

/** Enough of the end of a pack to hold most footers, so that one read serves. */
const tailBytes = 64 * 1024;

/**
 * Reads what a pack holds from the pack itself: from its sealed footer, or, when the footer is damaged, by walking
 * its records. `object_damaged` when neither copy of the header is whole.
 */
export async function indexFromPack(
  storage: Storage,
  keys: PipelineKeys,
  id: string,
  sizeBytes: number,
  signal?: AbortSignal,
): Promise<IndexedPack> {
  const name = packObject(id);
  const offset = Math.max(0, sizeBytes - tailBytes);
  const tail = await storage.get(name, { offset, signal });
  const fromFooter = await readFooter(storage, keys, name, { tail, offset, sizeBytes }, signal);
  if (fromFooter !== undefined) return { id, sizeBytes, ...fromFooter };
  return { id, sizeBytes, ...(await walkRecords(storage, keys, name, { tail, sizeBytes }, signal)) };
}

/** The same from its footer alone; undefined when that cannot be read. */
export async function indexFromFooter(
  storage: Storage,
  keys: PipelineKeys,
  id: string,
  sizeBytes: number,
  signal?: AbortSignal,
): Promise<IndexedPack | undefined> {
  const name = packObject(id);
  const offset = Math.max(0, sizeBytes - tailBytes);
  const tail = await storage.get(name, { offset, signal });
  const contents = await readFooter(storage, keys, name, { tail, offset, sizeBytes }, signal);
  return contents === undefined ? undefined : { id, sizeBytes, ...contents };
}

interface PackTail {
  readonly tail: Uint8Array;
  readonly offset: number;
  readonly sizeBytes: number;
}

type PackContents = Pick<IndexedPack, 'salt' | 'entries'>;

async function readFooter(
  storage: Storage,
  keys: PipelineKeys,
  name: string,
  { tail, offset, sizeBytes }: PackTail,
  signal?: AbortSignal,
): Promise<PackContents | undefined> {
  const end = parseTrailer(tail.subarray(-trailerBytes), sizeBytes);
  if (end === undefined) return undefined;
  const length = footerHeaderBytes + end.footerStoredLength;
  const footer =
    end.footerOffset >= offset
      ? tail.subarray(end.footerOffset - offset, end.footerOffset - offset + length)
      : await storage.get(name, { offset: end.footerOffset, length, signal });
  const count = Buffer.from(footer.buffer, footer.byteOffset, footer.byteLength).readUInt32LE(4);
  try {
    const salt = saltOfHeader(keys, 'pack', end.header);
    const seal = new ObjectSeal(keys, end.header);
    const additional = footerHeader(count, end.footerStoredLength);
    const entries = seal.open(end.footerOffset, additional, footer.subarray(footerHeaderBytes));
    return entries.length === count * footerEntryBytes ? { salt, entries } : undefined;
  } catch {
    return undefined; // Damaged: the records tell the same, one by one.
  }
}

async function walkRecords(
  storage: Storage,
  keys: PipelineKeys,
  name: string,
  { tail, sizeBytes }: Omit<PackTail, 'offset'>,
  signal?: AbortSignal,
): Promise<PackContents> {
  const salt = saltFromEither(keys, name, await storage.get(name, { length: headerBytes, signal }), tail);
  const blobs: BlobLocation[] = [];
  for (let at = headerBytes; at + recordHeaderBytes <= sizeBytes;) {
    const head = await storage.get(name, { offset: at, length: recordHeaderBytes, signal });
    const blob = head.length === recordHeaderBytes ? parseRecordHeader(head, at) : undefined;
    if (blob === undefined || at + recordHeaderBytes + blob.storedLength > sizeBytes) break;
    blobs.push(blob);
    at += recordHeaderBytes + blob.storedLength;
  }
  const entries = Buffer.alloc(blobs.length * footerEntryBytes);
  blobs.forEach((blob, index) => writeEntry(entries, index * footerEntryBytes, blob));
  return { salt, entries };
}

function saltFromEither(keys: PipelineKeys, name: string, head: Uint8Array, tail: Uint8Array): Uint8Array {
  try {
    return saltOfHeader(keys, 'pack', head);
  } catch (headError) {
    try {
      return saltOfHeader(keys, 'pack', tail.subarray(-headerBytes));
    } catch {
      throw failure('object_damaged', { name, reason: reasonOf(headError) }, { cause: headError });
    }
  }
}
