import type { Secret } from '../kernel/secret.ts';
import type { BackupProgress } from '../operations/contract.ts';

/** Something people should read now; a face decides how. */
export interface Notice {
  readonly level: 'info' | 'warning';
  readonly message: string;
  readonly hint?: string;
  /** It is in what the command leaves behind as well, and no failure: with `--quiet` that is enough. */
  readonly recorded?: boolean;
}

/** One thing of several is done or has failed, or something else a program following along wants to know. */
export interface Event {
  readonly type: string;
  readonly [field: string]: unknown;
}

/** How far one task is. */
export interface TaskProgress extends BackupProgress, Disposable {}

export interface Observer {
  notice(notice: Notice): void;
  event(event: Event): void;
  /** A line of the log that is to be seen, with its line end. */
  logLine(text: string): void;
  /** Whether log lines may have colours. */
  readonly colour: boolean;
  /** `title` for people, for instance the source's name. Ends when disposed. */
  progress(title: string): TaskProgress;
}

/** Asks people on a terminal. Use cases get null where there is none, and then must not wait. */
export interface Asker {
  /** Typed without being shown. */
  secret(question: string): Promise<Secret>;
  confirm(question: string): Promise<boolean>;
}
