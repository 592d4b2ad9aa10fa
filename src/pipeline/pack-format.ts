import { blobIdBytes, type BlobLocation, type BlobType } from './blob.ts';
import { headerBytes } from './seal.ts';

/**
 * A pack: header (64), records, sealed footer, trailer (16 + 64).
 * A record is its own header (44) and the sealed blob; the footer repeats every record's facts, sealed;
 * the trailer says where the footer is and repeats the pack's header, so that damage to either copy costs nothing.
 */
export const recordHeaderBytes = 44;
export const footerHeaderBytes = 12;
export const footerEntryBytes = 48;
export const trailerBytes = 16 + headerBytes;

const recordKind = 0xb1;
const footerKind = 0xf1;
const trailerMagic = Buffer.from('HFPKTAIL', 'latin1');

/** The clear header of a record; it is also the additional data the blob is sealed with. */
export function recordHeader(blob: Omit<BlobLocation, 'offset'>): Uint8Array {
  const header = Buffer.alloc(recordHeaderBytes);
  header[0] = recordKind;
  header[1] = blob.type;
  header[2] = blob.codec;
  header.writeUInt32LE(blob.rawLength, 4);
  header.writeUInt32LE(blob.storedLength, 8);
  header.set(blob.id, 12);
  return header;
}

/** Reads a record's header at `offset`; undefined when there is none. */
export function parseRecordHeader(bytes: Uint8Array, offset: number): BlobLocation | undefined {
  const view = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (view[0] !== recordKind || view[3] !== 0 || view.length < recordHeaderBytes) return undefined;
  return {
    type: view[1] as BlobType,
    codec: view[2] ?? 0,
    rawLength: view.readUInt32LE(4),
    storedLength: view.readUInt32LE(8),
    id: Uint8Array.from(view.subarray(12, 12 + blobIdBytes)),
    offset,
  };
}

/** Writes one row of a footer (or index) at `at`. */
export function writeEntry(target: Buffer, at: number, blob: BlobLocation): void {
  target.set(blob.id, at);
  target[at + 32] = blob.type;
  target[at + 33] = blob.codec;
  target.writeUInt16LE(0, at + 34);
  target.writeUInt32LE(blob.offset, at + 36);
  target.writeUInt32LE(blob.rawLength, at + 40);
  target.writeUInt32LE(blob.storedLength, at + 44);
}

/** The rows of a footer or index, which are `footerEntryBytes` each. */
export function* readEntries(bytes: Uint8Array): Generator<BlobLocation, void, void> {
  const view = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  for (let at = 0; at + footerEntryBytes <= view.length; at += footerEntryBytes) {
    yield {
      id: Uint8Array.from(view.subarray(at, at + blobIdBytes)),
      type: view[at + 32] as BlobType,
      codec: view[at + 33] ?? 0,
      offset: view.readUInt32LE(at + 36),
      rawLength: view.readUInt32LE(at + 40),
      storedLength: view.readUInt32LE(at + 44),
    };
  }
}

/** The clear header of the footer, also its additional data. */
export function footerHeader(entryCount: number, storedLength: number): Uint8Array {
  const header = Buffer.alloc(footerHeaderBytes);
  header[0] = footerKind;
  header.writeUInt32LE(entryCount, 4);
  header.writeUInt32LE(storedLength, 8);
  return header;
}

export function trailer(footerOffset: number, footerStoredLength: number, header: Uint8Array): Uint8Array {
  const bytes = Buffer.alloc(trailerBytes);
  bytes.writeUInt32LE(footerOffset, 0);
  bytes.writeUInt32LE(footerStoredLength, 4);
  trailerMagic.copy(bytes, 8);
  bytes.set(header, 16);
  return bytes;
}

export interface Trailer {
  readonly footerOffset: number;
  readonly footerStoredLength: number;
  readonly header: Uint8Array;
}

/** Reads the last `trailerBytes` of a pack; undefined when they are not a trailer that fits a pack of that size. */
export function parseTrailer(bytes: Uint8Array, packBytes: number): Trailer | undefined {
  const view = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (view.length !== trailerBytes || view.compare(trailerMagic, 0, 8, 8, 16) !== 0) return undefined;
  const footerOffset = view.readUInt32LE(0);
  const footerStoredLength = view.readUInt32LE(4);
  if (footerOffset + footerHeaderBytes + footerStoredLength + trailerBytes !== packBytes) return undefined;
  return { footerOffset, footerStoredLength, header: Uint8Array.from(view.subarray(16)) };
}
