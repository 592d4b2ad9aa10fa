import type { BackupView } from '../backup-view.ts';
import type { TreeSize } from './tree-portrait.ts';
import type { UploadsDay } from './uploads.ts';

/** What each step tells when it is done, in the order they are played. Sizes in bytes. */
export interface StepResults {
  readonly shop: {
    readonly tables: number;
    readonly rows: number;
    readonly size: number;
    readonly sessions: { readonly tables: number; readonly rows: number; readonly size: number };
    readonly uploads: TreeSize;
  };
  readonly init: {
    readonly location: string;
    readonly key_file: string | null;
    readonly recovery_kit: string | null;
  };
  readonly first_backup: BackedUp;
  readonly business_day: {
    readonly orders: number;
    readonly rows_changed: number;
    readonly sessions: { readonly rows_changed: number };
    readonly uploads: UploadsDay;
  };
  readonly second_backup: BackedUp & { readonly percent_of_first: number };
  readonly disaster: {
    readonly tables_lost: number;
    readonly rows_lost: number;
    /** In tables that are still there, with other content. */
    readonly rows_overwritten: number;
    readonly sessions: { readonly rows_lost: number };
    readonly uploads: { readonly files_lost: number };
  };
  readonly restore: {
    readonly shop: {
      readonly tables: number;
      readonly rows: number;
      readonly bytes: number;
      /** The name under which what was there before is kept. */
      readonly replaced: string | null;
      readonly duration_ms: number;
    };
    readonly sessions: {
      readonly bytes: number;
      /** The file in which what was there before is kept. */
      readonly replaced: string | null;
      readonly duration_ms: number;
    };
    readonly uploads: TreeSize & { readonly duration_ms: number };
  };
  readonly proof: {
    readonly tables: readonly ProvenTable[];
    readonly sequences: { readonly count: number; readonly equal: boolean };
    /** Of `pg_dump --create`: every statement, and the rows as a set. */
    readonly dump: { readonly bytes: number; readonly equal: boolean };
    readonly sessions: {
      readonly tables: readonly ProvenTable[];
      readonly schema: { readonly fingerprint: string; readonly equal: boolean };
      readonly integrity: { readonly before: string; readonly equal: boolean };
    };
    /** All paths with type, mode, time of modification, target and content. */
    readonly uploads: { readonly paths: number; readonly fingerprint: string; readonly equal: boolean };
    readonly comparisons: number;
    readonly equal: number;
  };
  readonly wal_stream: {
    /** The replication slot that it made. */
    readonly slot: string;
    readonly timeline: number;
    /** Where it begins: `0/9000028`. */
    readonly lsn: string;
  };
  readonly cluster_backup: { readonly backup: BackupView };
  readonly orders: {
    /** Acknowledged, each when the stream had it in the repository. */
    readonly orders: number;
    /** Name of the file that lists them, outside of the cluster. */
    readonly list: string;
    readonly first_at: string;
    readonly last_at: string;
  };
  readonly drop: {
    /** The moment before, by the server's clock: `2026-11-21 20:15:30.123456+00`. */
    readonly at: string;
    readonly tables_lost: number;
    readonly rows_lost: number;
  };
  readonly recovery: {
    readonly files: number;
    readonly bytes: number;
    readonly port: number;
    /** Where the server stopped, as far as it told. */
    readonly last_lsn: string | null;
    readonly last_transaction_at: string | null;
    readonly timeline: number | null;
    readonly duration_ms: number;
  };
  readonly cluster_proof: {
    /** The orders of the list against those that came back. */
    readonly list: {
      readonly orders: number;
      readonly found: number;
      readonly fingerprint: string;
      readonly equal: boolean;
    };
    readonly dropped: ProvenTable;
    readonly others: {
      readonly tables: number;
      readonly rows: number;
      readonly fingerprint: string;
      readonly equal: boolean;
    };
    readonly comparisons: number;
    readonly equal: number;
  };
}

export interface BackedUp {
  /** One of each source. */
  readonly backups: readonly BackupView[];
  /** Written to the SQLite database while it was backed up, in a transaction that was taken back afterwards. */
  readonly rows_uncommitted: number;
}

export type StepName = keyof StepResults;

/** A table before the disaster, and whether every comparison of it held. */
export interface ProvenTable {
  readonly name: string;
  readonly rows: number;
  readonly fingerprint: string;
  readonly equal: boolean;
}

export interface DemoStarted {
  readonly type: 'demo';
  readonly directory: string;
  readonly postgres: number;
  readonly port: number;
  /** Its version. */
  readonly pg_dump: string;
}

/** Told before a step begins. */
export interface StepStarted {
  readonly type: 'step';
  readonly step: StepName;
  /** What a user would type; nothing where the shop just goes on. */
  readonly typed: readonly Typed[];
}

export interface Typed {
  /** `>`: the command before goes on. */
  readonly prompt: '$' | '>' | 'shop=#';
  readonly text: string;
}

export type StepDone = {
  [S in StepName]: {
    readonly type: 'step_done';
    readonly step: S;
    readonly duration_ms: number;
  } & StepResults[S];
}[StepName];

export type DemoEvent = DemoStarted | StepStarted | StepDone;
