// What WAL looks like on a machine that is little-endian and aligns to 8 bytes, as PostgreSQL 14 to 18 write it.

/** The only size of WAL pages that is read here; others must be compiled in. */
export const walPageBytes = 8192;
export const shortHeaderBytes = 24;
/** Of the first page of a segment. */
export const longHeaderBytes = 40;
export const recordHeaderBytes = 24;
/** Nothing longer can be written: what claims to be is no record. */
export const maxRecordBytes = 0x4000_0000;

const majors: ReadonlyMap<number, number> = new Map([
  [0xd10d, 14],
  [0xd110, 15],
  [0xd113, 16],
  [0xd116, 17],
  [0xd118, 18],
]);

/** The major version whose WAL pages begin with this number; undefined when it is not known here. */
export function majorOfMagic(magic: number): number | undefined {
  return majors.get(magic);
}

/** Flags of a page. */
export const pageFlags = {
  /** The page begins with the rest of a record. */
  continuation: 1,
  longHeader: 2,
  /** The record that the last page broke off was given up after a crash; another one begins here. */
  overwritten: 8,
  all: 15,
} as const;

/** Resource managers whose records are looked into. */
export const managers = { xlog: 0, transaction: 1, database: 4 } as const;

/** Kinds of records of `xlog`, in the high half of the info byte. */
export const xlogInfo = {
  shutdownCheckpoint: 0x00,
  onlineCheckpoint: 0x10,
  switch: 0x40,
  backupEnd: 0x50,
  parameterChange: 0x60,
  restorePoint: 0x70,
  endOfRecovery: 0x90,
} as const;

export const xlogInfoMask = 0xf0;

/** Kinds of records of `transaction`. */
export const transactionInfo = {
  commit: 0x00,
  abort: 0x20,
  commitPrepared: 0x30,
  abortPrepared: 0x40,
} as const;

export const transactionInfoMask = 0x70;
export const transactionHasFlags = 0x80;

/** PostgreSQL counts microseconds from 2000-01-01; we from 1970-01-01. */
export const epochDifferenceUs = 946_684_800_000_000n;
