import type { PriceList } from './prices.ts';

const dayMs = 86_400_000;
const monthMs = 30 * dayMs;
const packBytes = 16 * 2 ** 20;

/** What a backup asks for beside its packs, as counted on real services; docs/storage-s3.md tells the same. */
const perBackup = { puts: 4, lists: 9, gets: 8 };
/** Names that one request lists. */
const namesInList = 1000;

export interface CostBasis {
  readonly packBytes: number;
  readonly otherBytes: number;
  readonly packs: number;
  /** Made in the last 30 days. */
  readonly backups: number;
  /** Of all of those together. */
  readonly bytesAdded: number;
  /** How often each cluster's WAL is stored, in milliseconds. */
  readonly walIntervalsMs: readonly number[];
}

/** What a place may cost in a month. An estimate: list prices, and what was done in the last 30 days. */
export interface CostEstimate {
  /** Whose prices. */
  readonly prices: string;
  /** Null for prices of the settings. */
  readonly currency: string | null;
  /** For what is there now. */
  readonly storage_per_month: number;
  /** For the requests of as many backups as in the last 30 days; not for verify, restores and traffic. */
  readonly requests_per_month: number;
  /** For a stream of WAL that is never idle; 0 where no cluster is configured. */
  readonly wal_stream_per_month_at_most: number;
}

export function estimateCost(list: PriceList, basis: CostBasis): CostEstimate {
  const { packs, others, gbBytes } = list;
  const storage = (basis.packBytes * packs.storage + basis.otherBytes * others.storage) / gbBytes;
  const lists = basis.backups * (perBackup.lists + basis.packs / namesInList) * others.lists;
  const packsStored = basis.bytesAdded / packBytes + basis.backups;
  const puts = packsStored * packs.puts + basis.backups * perBackup.puts * others.puts;
  const gets = basis.backups * perBackup.gets * others.gets;
  const units = basis.walIntervalsMs.reduce((sum, intervalMs) => sum + monthMs / Math.max(intervalMs, 1), 0);
  return {
    prices: list.name,
    currency: list.currency,
    storage_per_month: cents(storage),
    requests_per_month: cents((puts + lists + gets) / 1000),
    wal_stream_per_month_at_most: cents((units * others.puts) / 1000),
  };
}

/** Backups whose start lies in the last 30 days. */
export function recent<T extends { readonly startedAtMs: number }>(
  backups: readonly T[],
  nowMs: number,
): readonly T[] {
  return backups.filter(({ startedAtMs }) => startedAtMs > nowMs - monthMs && startedAtMs <= nowMs + dayMs);
}

function cents(amount: number): number {
  return Math.round(amount * 100) / 100;
}
