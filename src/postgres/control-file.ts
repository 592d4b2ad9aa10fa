import { lsnOf, type Lsn } from './lsn.ts';

/** What `global/pg_control` says, as far as it lies at the same place in all versions. */
export interface ControlFile {
  /** Decimal digits, as `pg_control_system()` gives it. */
  readonly systemIdentifier: string;
  readonly catalogVersion: number;
  /** Where recovery begins from the last checkpoint. */
  readonly redo: Lsn;
  readonly timeline: number;
}

/** The part of the file that is written at once, and counts. The rest of it is zeros. */
const countingBytes = 512;
/** Its checksum is the last of its fields, and how many there are differs from version to version. */
const leastChecksumOffset = 200;

/** Undefined when it is no such file, or was read while it was written. */
export function parseControlFile(bytes: Buffer): ControlFile | undefined {
  if (bytes.length < countingBytes || !hasChecksum(bytes)) return undefined;
  return {
    systemIdentifier: bytes.readBigUInt64LE(0).toString(),
    catalogVersion: bytes.readUInt32LE(12),
    redo: lsnOf(bytes.readBigUInt64LE(40)),
    timeline: bytes.readUInt32LE(48),
  };
}

/** Looks at each place where the CRC-32C of everything before it could stand. */
function hasChecksum(bytes: Buffer): boolean {
  let sum = 0xffff_ffff;
  for (let at = 0; at + 4 <= countingBytes; at += 1) {
    const mayBeHere = at >= leastChecksumOffset && at % 4 === 0;
    if (mayBeHere && bytes.readUInt32LE(at) === (sum ^ 0xffff_ffff) >>> 0) return true;
    sum = addByte(sum, bytes[at] ?? 0);
  }
  return false;
}

/** CRC-32C, bit by bit: there are a few hundred bytes. */
function addByte(sum: number, byte: number): number {
  let next = sum ^ byte;
  for (let bit = 0; bit < 8; bit += 1) next = (next >>> 1) ^ (0x82f6_3b78 & -(next & 1));
  return next >>> 0;
}
