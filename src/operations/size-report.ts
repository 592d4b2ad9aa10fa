import type { UsageTotals } from '../repository/usage.ts';

/** What backups need, in bytes. */
export interface Figures {
  /** The contents, as a restore would write them. */
  readonly bytes: number;
  /** Plain bytes of the distinct chunks of the contents. */
  readonly unique_bytes: number;
  /** What those take in the repository. */
  readonly unique_stored_bytes: number;
  /** The same with maps and lists: everything that is needed. */
  readonly stored_bytes: number;
  /** `bytes` / `unique_bytes`; null without contents. */
  readonly dedup_ratio: number | null;
  /** `unique_bytes` / `unique_stored_bytes`; null without contents. */
  readonly compression_ratio: number | null;
  /** Chunks that are in no pack, and maps that cannot be read; what is in or below them is in no other figure. */
  readonly missing_chunks: number;
}

interface Shares {
  /** Of `stored_bytes`, what nothing else of its sort needs. */
  readonly own_bytes: number;
  /** The rest of `stored_bytes`. */
  readonly shared_bytes: number;
}

export interface BackupSize extends Figures, Shares {
  readonly id: string;
  readonly source: string;
  readonly kind: string;
  readonly started_at: string;
}

export interface SourceSize extends Figures, Shares {
  readonly source: string;
  /** How many. */
  readonly backups: number;
  /** The WAL of its cluster, packed; in none of the other figures. */
  readonly wal_bytes: number;
}

export interface RepositorySize extends Figures {
  readonly backups: number;
  readonly packs: number;
  readonly pack_bytes: number;
  readonly index_bytes: number;
  readonly manifest_bytes: number;
  readonly key_bytes: number;
  /** WAL of all clusters, packed. */
  readonly wal_bytes: number;
  /** All of these together. */
  readonly total_bytes: number;
  /** In packs, and needed by no backup whose manifest can be read. */
  readonly unused_bytes: number;
}

export function figuresOf(bytes: number, totals: UsageTotals): Figures {
  const { uniqueBytes, uniqueStoredBytes, storedBytes, missing } = totals;
  return {
    bytes,
    unique_bytes: uniqueBytes,
    unique_stored_bytes: uniqueStoredBytes,
    stored_bytes: storedBytes,
    dedup_ratio: ratio(bytes, uniqueBytes),
    compression_ratio: ratio(uniqueBytes, uniqueStoredBytes),
    missing_chunks: missing,
  };
}

export function sharesOf(storedBytes: number, ownBytes: number): Shares {
  return { own_bytes: ownBytes, shared_bytes: storedBytes - ownBytes };
}

function ratio(whole: number, part: number): number | null {
  return part === 0 ? null : Math.round((whole / part) * 1000) / 1000;
}
