import type { WalFacts } from '../src/contract/wal.ts';
import { patternedBytes } from './bytes.ts';
import { walBytes } from './wal-archive.ts';

/** Their directories below test/golden/. */
export const goldenWalVariants = [
  { name: 'format-1-wal-encrypted', encrypted: true },
  { name: 'format-1-wal-plain', encrypted: false },
] as const;

export const goldenWalInfo = {
  source: 'golden',
  system_identifier: '7300000000000000042',
  segment_bytes: 2 * 1024 * 1024,
  postgres_major: 15,
};

export const goldenFacts: WalFacts = {
  transactions: 2,
  first_at_us: 1_700_000_000_000_000,
  last_at_us: 1_700_000_000_000_001,
  restore_points: [{ name: 'Grüße', lsn: '1/200100', at_us: 1_700_000_000_000_001 }],
  scanned: true,
};

const unit = 2 * 1024 * 1024;
const high = 0x1_0000_0000;

/** As after a switch to the next segment: WAL, then zeros. */
function switchedUnit(): Uint8Array {
  const bytes = new Uint8Array(unit);
  bytes.set(walBytes(high + unit, 20_000));
  bytes.set(patternedBytes(100, 7), unit - 100);
  return bytes;
}

/** Stretches in order of position: a whole unit in two frames, and parts, one of which does not get smaller. */
export const goldenStretches: readonly {
  readonly timeline: number;
  readonly start: bigint;
  readonly bytes: Uint8Array;
}[] = [
  { timeline: 1, start: BigInt(high + unit), bytes: switchedUnit() },
  { timeline: 1, start: BigInt(high + 2 * unit), bytes: walBytes(high + 2 * unit, 5000) },
  { timeline: 1, start: BigInt(high + 2 * unit + 5000), bytes: patternedBytes(3000, 42) },
  { timeline: 0xa, start: BigInt(high + 2 * unit), bytes: walBytes(high + 2 * unit, 20) },
];

export const goldenFiles: Readonly<Record<string, Uint8Array>> = {
  '0000000A.history': Buffer.from('1\t1/401388\tno recovery target specified\n'),
  '000000010000000100000001.00000028.backup': Buffer.from('START WAL LOCATION: 1/200028\n'),
};
