import type { Backup, ErrorInfo, RestorePlan } from './results.ts';

/** What `onProgress` is told: the lines that `--json` prints while a verb works. */
export type ProgressEvent =
  | PhaseEvent
  | BytesEvent
  | NoticeEvent
  | SourceErrorEvent
  | BackupEvent
  | PlanEvent;

/** A new phase has begun. */
export interface PhaseEvent {
  readonly type: 'phase';
  /** The source's name, `restore` with the beginning of the id, or `verify`. */
  readonly task: string;
  /** In words for people. */
  readonly phase: string;
}

/** How far a task is. At most ten a second, and one at its end. */
export interface BytesEvent {
  readonly type: 'progress';
  readonly task: string;
  readonly phase: string;
  readonly bytes_done: number;
  /** An estimate; null when unknown. */
  readonly bytes_total: number | null;
  /** Not stored before; null but in a backup. */
  readonly bytes_new: number | null;
  /** Of about the last five seconds. */
  readonly bytes_per_second: number;
  /** Null when unknown. */
  readonly eta_seconds: number | null;
  readonly elapsed_ms: number;
}

/** Something people should read. */
export interface NoticeEvent {
  readonly type: 'notice';
  readonly level: 'info' | 'warning';
  readonly message: string;
  readonly hint: string | null;
}

/** One of several sources failed, or its backup is incomplete; the others go on. */
export interface SourceErrorEvent {
  readonly type: 'error';
  readonly source: string;
  readonly error: ErrorInfo;
}

/** A backup is done and durable. */
export interface BackupEvent {
  readonly type: 'backup';
  readonly backup: Backup;
}

/** What a restore is about to do. */
export interface PlanEvent {
  readonly type: 'plan';
  readonly plan: RestorePlan;
}

/** What `onLog` is told. Secrets are masked in it. */
export interface LogEntry {
  readonly level: 'debug' | 'info' | 'warn' | 'error';
  /** UTC, ISO 8601. */
  readonly time: string;
  readonly message: string;
  /** What is known beside the message. */
  readonly fields: Readonly<Record<string, unknown>>;
}
