import type { Entry } from '../contract/stream.ts';
import type { Logger } from '../kernel/log.ts';
import type { BackupContext, BackupOutcome, Progress, RestoreContext } from '../sources/port.ts';

/** A source as operations see it: made by `app/` from the configuration. */
export interface BackupSource {
  readonly name: string;
  /** `postgres`, later `sqlite`, `files`, `postgres-cluster`. */
  readonly kind: string;
  backup(context: BackupContext): Promise<BackupOutcome>;
}

/** The way back, bound to a target: made by `app/`. */
export interface Restorer<Result> {
  /** Which entries it will read; all unless given. Only these are checked before the target is touched. */
  needs?(entry: Entry): boolean;
  /** Nothing is where it restores to: one that breaks off in the middle has hurt nothing. */
  readonly isNew?: boolean;
  restore(context: RestoreContext): Promise<Result>;
}

/** What a backup tells beside what its source does. */
export interface BackupProgress extends Progress {
  /** Of the bytes read, so many more turned out to be new to the repository. */
  stored(bytes: number): void;
}

/** What every long operation takes. */
export interface OperationContext {
  readonly signal: AbortSignal;
  readonly log: Logger;
  readonly jobs: number;
  readonly progress: Progress;
}
