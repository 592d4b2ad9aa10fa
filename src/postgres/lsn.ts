/** A position in the WAL of a cluster: bytes since its beginning. */
export type Lsn = bigint & { readonly brand: 'Lsn' };

export const zeroLsn = 0n as Lsn;

/** Reads `16/B374D848` as PostgreSQL writes it; undefined for anything else. */
export function parseLsn(text: string): Lsn | undefined {
  const match = /^([0-9A-Fa-f]{1,8})\/([0-9A-Fa-f]{1,8})$/.exec(text);
  if (match === null) return undefined;
  const [, high = '', low = ''] = match;
  return lsnOf((BigInt(`0x${high}`) << 32n) | BigInt(`0x${low}`));
}

/** As PostgreSQL writes it: `16/B374D848`. */
export function formatLsn(lsn: Lsn): string {
  return `${(lsn >> 32n).toString(16)}/${(lsn & 0xffff_ffffn).toString(16)}`.toUpperCase();
}

/** Throws a `RangeError` for what does not fit into 64 bits. */
export function lsnOf(value: bigint | number): Lsn {
  const lsn = BigInt(value);
  if (lsn < 0n || lsn > 0xffff_ffff_ffff_ffffn) throw new RangeError(`${lsn} is no position in the WAL`);
  return lsn as Lsn;
}

export function addToLsn(lsn: Lsn, bytes: bigint | number): Lsn {
  return lsnOf(lsn + BigInt(bytes));
}

/** The beginning of the stretch of `bytes` that the position lies in. */
export function floorLsn(lsn: Lsn, bytes: number): Lsn {
  return lsnOf(lsn - (lsn % BigInt(bytes)));
}
