import { formatLsn, type Lsn } from '../lsn.ts';

/** Why a reader cannot go on. */
export type WalStopKind =
  /** Zeros where a record or a page should begin: nothing was written from here on. */
  | 'zeros'
  /** A page of another position: the file was recycled, and nothing was written from here on. */
  | 'recycled'
  /** A page that PostgreSQL 14 to 18 have not written, or with another size of pages. */
  | 'unknown'
  /** A page of another cluster or version, of a timeline that is not expected, or of another segment size. */
  | 'foreign'
  /** A record whose length cannot be. */
  | 'length'
  /** A record that does not follow the one before it. */
  | 'chain'
  /** A record that is not continued on the next page, or a page that continues another one. */
  | 'continuation'
  /** A record that is not as it was written. */
  | 'checksum';

/** Where valid WAL ends. After a crash of a server its last, unfinished record ends it in any of these ways. */
export interface WalStop {
  /** The beginning of the record, or of the page, that is not valid. */
  readonly at: Lsn;
  readonly kind: WalStopKind;
  /** For people. */
  readonly reason: string;
}

export function walStop(at: Lsn, kind: WalStopKind, reason: string): WalStop {
  return { at, kind, reason: `${reason} at ${formatLsn(at)}` };
}
