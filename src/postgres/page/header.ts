import { lsnOf, type Lsn } from '../lsn.ts';

// The header of a page: its LSN as two words, the upper one first; checksum; flags; where its free space begins and ends.
const lsnHighOffset = 0;
const lsnLowOffset = 4;
const checksumOffset = 8;
const upperOffset = 14;

/** Bytes of the header that every page has. */
export const pageHeaderBytes = 24;

/** The end of the last WAL record that changed the page at `at`; zero for one that no record did. */
export function pageLsn(bytes: Buffer, at: number): Lsn {
  const high = BigInt(bytes.readUInt32LE(at + lsnHighOffset));
  return lsnOf((high << 32n) | BigInt(bytes.readUInt32LE(at + lsnLowOffset)));
}

/** The two words of the page's LSN, which are quicker than one of 64 bits. */
export function pageLsnWords(bytes: Buffer, at: number): { readonly high: number; readonly low: number } {
  return { high: bytes.readUInt32LE(at + lsnHighOffset), low: bytes.readUInt32LE(at + lsnLowOffset) };
}

/** The checksum that stands in the page; 0 where the cluster has none. */
export function storedChecksum(bytes: Buffer, at: number): number {
  return bytes.readUInt16LE(at + checksumOffset);
}

/** Whether nothing has been put into the page yet: such a page should be all zeros, and has no checksum. */
export function isNewPage(bytes: Buffer, at: number): boolean {
  return bytes.readUInt16LE(at + upperOffset) === 0;
}
