import type { TimelinePaths, WalBackup } from '../wal-window.ts';
import type { Zone } from './zone.ts';

/** A backup, as far as it matters for how long it is kept. */
export interface RetentionBackup {
  readonly id: string;
  readonly source: string;
  readonly kind: string;
  readonly sequence: number;
  /** Milliseconds since 1970. */
  readonly startedAtMs: number;
  readonly tags: Readonly<Record<string, string>>;
  /** Why it was pinned, empty when nobody said; null when it is not. */
  readonly pinned: string | null;
  /** Something of its source is missing in it. */
  readonly incomplete: boolean;
  /** Made out of a file: its time is that of the import, and tells nothing of what is in it. */
  readonly imported: boolean;
  /** Where it lies in the WAL; null for anything but a backup of a cluster, and where that tells it not. */
  readonly wal: WalBackup | null;
}

/** What is to become of one backup, with every reason there is. */
export interface Judgement {
  readonly backup: RetentionBackup;
  readonly action: 'keep' | 'forget';
  /** For people. Of a backup to keep: what keeps it, each by itself enough. Else: why none of the rules does. */
  readonly reasons: readonly string[];
}

/** What judging needs beside backups and policy. */
export interface RetentionContext {
  readonly zone: Zone;
  readonly nowMs: number;
  /** How the timelines of each archive come from each other, for `keep_wal`; without those that cannot be read. */
  readonly timelines: TimelinePaths;
}
