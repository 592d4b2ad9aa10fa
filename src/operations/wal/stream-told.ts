import type { Clock } from '../../kernel/clock.ts';
import type { HoldfastError } from '../../kernel/errors/failure.ts';
import type { Logger } from '../../kernel/log.ts';
import type { Lsn } from '../../postgres/lsn.ts';

export type StreamState =
  | 'slot_made'
  | 'slot_lost'
  | 'streaming'
  | 'timeline_ended'
  | 'server_lost'
  | 'repository_lost'
  | 'repository_back'
  | 'gap'
  | 'waiting'
  | 'waiting_over'
  | 'warning'
  | 'stopping';

/** Something has changed; told once. */
export interface StreamTold {
  readonly state: StreamState;
  readonly timeline?: number | undefined;
  readonly lsn?: Lsn | undefined;
  /** What is wrong; the stream goes on, or tries to. */
  readonly error?: HoldfastError | undefined;
}

export interface StreamPosition {
  readonly timeline: number;
  readonly received: Lsn;
  /** Durable in the repository up to there. */
  readonly stored: Lsn;
  /** The end of the server's WAL, as last heard. */
  readonly serverEnd: Lsn;
  /** What came in this run and was not stored before, without what is left empty behind a switch of segments. */
  readonly writtenBytes: number;
  readonly lagBytes: number;
  /** For how long there has been something that was not stored. */
  readonly lagSeconds: number;
}

export interface StreamObserver {
  told(told: StreamTold): void;
  /** Often: after everything that was stored. */
  position(position: StreamPosition): void;
}

/** What everything in a stream needs. */
export interface StreamContext {
  readonly clock: Clock;
  /** Uniform in [0, 1). */
  readonly random: () => number;
  readonly log: Logger;
  readonly observer: StreamObserver;
  /** Asks for the end in good order. */
  readonly stop: AbortSignal;
  /** Ends everything at once; comes some time after `stop`. */
  readonly signal: AbortSignal;
}
