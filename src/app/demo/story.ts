import type { BackupView } from '../backup-view.ts';

/** What each step tells when it is done, in the order they are played. Sizes in bytes. */
export interface StepResults {
  readonly shop: { readonly tables: number; readonly rows: number; readonly size: number };
  readonly init: {
    readonly location: string;
    readonly key_file: string | null;
    readonly recovery_kit: string | null;
  };
  readonly first_backup: { readonly backup: BackupView };
  readonly business_day: { readonly orders: number; readonly rows_changed: number };
  readonly second_backup: { readonly backup: BackupView; readonly percent_of_first: number };
  readonly disaster: {
    readonly tables_lost: number;
    readonly rows_lost: number;
    /** In tables that are still there, with other content. */
    readonly rows_overwritten: number;
  };
  readonly restore: {
    readonly tables: number;
    readonly rows: number;
    readonly bytes: number;
    /** The name under which what was there before is kept. */
    readonly replaced: string | null;
  };
  readonly proof: {
    readonly tables: readonly ProvenTable[];
    readonly sequences: { readonly count: number; readonly equal: boolean };
    /** Of `pg_dump --create`: every statement, and the rows as a set. */
    readonly dump: { readonly bytes: number; readonly equal: boolean };
    readonly comparisons: number;
    readonly equal: number;
  };
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
  /** What a user would type; null where nothing is typed. */
  readonly command: string | null;
  /** What happens in the database. */
  readonly sql: readonly string[];
}

export type StepDone = {
  [S in StepName]: {
    readonly type: 'step_done';
    readonly step: S;
    readonly duration_ms: number;
  } & StepResults[S];
}[StepName];

export type DemoEvent = DemoStarted | StepStarted | StepDone;
