/** What the first 100 bytes of a database say. */
export interface Header {
  readonly pageBytes: number;
  readonly journal: 'wal' | 'rollback';
  readonly encoding: 'UTF-8' | 'UTF-16le' | 'UTF-16be' | null;
  readonly userVersion: number;
  readonly applicationId: number;
}

export const headerBytes = 100;
const magic = Buffer.from('SQLite format 3\0', 'latin1');
const encodings = [null, 'UTF-8', 'UTF-16le', 'UTF-16be'] as const;

/** Null when these are not the first bytes of a database. */
export function readHeader(bytes: Uint8Array): Header | null {
  const view = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
  if (view.length < headerBytes || !view.subarray(0, magic.length).equals(magic)) return null;
  const stored = view.readUInt16BE(16);
  const pageBytes = stored === 1 ? 65_536 : stored;
  if (pageBytes < 512 || (pageBytes & (pageBytes - 1)) !== 0) return null;
  return {
    pageBytes,
    journal: view[18] === 2 || view[19] === 2 ? 'wal' : 'rollback',
    encoding: encodings[view.readUInt32BE(56)] ?? null,
    userVersion: view.readInt32BE(60),
    applicationId: view.readInt32BE(68),
  };
}

/**
 * Whether bytes look random, as those of an encrypted database do: all 256 values about equally often. Text, program
 * data and zeros are far from it; compressed files are as near, but these have beginnings of their own.
 */
export function looksEncrypted(bytes: Uint8Array): boolean {
  if (bytes.length < 512 || knownBeginning(bytes)) return false;
  const counts = new Uint32Array(256);
  for (const byte of bytes) counts[byte] = (counts[byte] ?? 0) + 1;
  const expected = bytes.length / 256;
  const chiSquare = counts.reduce((sum, count) => sum + (count - expected) ** 2 / expected, 0);
  // With 255 degrees of freedom random bytes stay below 400 all but always.
  return chiSquare < 400;
}

const beginnings = ['1f8b', '28b52ffd', '504b0304', '377abcaf', 'fd377a58', '425a68', '89504e47', 'ffd8ff'];

function knownBeginning(bytes: Uint8Array): boolean {
  const start = Buffer.from(bytes.subarray(0, 4)).toString('hex');
  return beginnings.some((beginning) => start.startsWith(beginning));
}

/** The page size that a write-ahead log was written for; null when it does not begin as one. */
export function walPageBytes(bytes: Uint8Array): number | null {
  const view = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
  if (view.length < 32 || (view.readUInt32BE(0) & 0xfffffffe) >>> 0 !== 0x377f0682) return null;
  return view.readUInt32BE(8);
}

/** Whether a rollback journal begins as one that is to be rolled back: SQLite zeroes or cuts what is done with. */
export function journalIsLive(bytes: Uint8Array): boolean {
  return bytes.length > 0 && bytes[0] !== 0;
}
