import { addToLsn, floorLsn, zeroLsn, type Lsn } from '../../postgres/lsn.ts';
import type { Replication } from '../../postgres/replication/replication.ts';
import type { WalMessage, WalStream } from '../../postgres/replication/wal-stream.ts';
import type { WalArchive } from '../../repository/wal/model.ts';
import type { PatientRepository } from './stream-patience.ts';
import type { StreamPositions } from './stream-positions.ts';
import type { StreamContext } from './stream-told.ts';
import { StreamWriter } from './stream-writer.ts';

export interface Leg {
  readonly timeline: number;
  /** What comes from here on is missing; streamed from the beginning of its unit on, to compare. */
  readonly from: Lsn;
  /** Ends when all before this is stored; undefined: never by itself. */
  readonly until: Lsn | undefined;
}

export interface LegOptions {
  readonly replication: Replication;
  readonly archive: WalArchive;
  readonly repository: PatientRepository;
  readonly positions: StreamPositions;
  readonly slot: string;
  readonly intervalMs: number;
  /** Breaks the connection off: what waits for it rejects with the error. */
  readonly cut: (error: Error) => void;
}

/** Streams one stretch of one timeline, to its end or until it is stopped. All that was received is stored then. */
export async function streamLeg(
  leg: Leg,
  options: LegOptions,
  context: StreamContext,
): Promise<'timeline_ended' | 'stopped' | 'caught_up'> {
  const { archive, repository, replication } = options;
  const start = floorLsn(leg.from, archive.unitBytes);
  const { signal } = context;
  // Where nothing can be read, all of the unit is stored once more.
  const known = archive.isReadable
    ? await repository.call(() => archive.readUnit(leg.timeline, start, { signal }))
    : new Uint8Array(0);
  const stream = await replication.stream({ slot: options.slot, start, timeline: leg.timeline });
  context.observer.told({ state: 'streaming', timeline: leg.timeline, lsn: leg.from });
  try {
    return await new RunningLeg(leg, options, context, { stream, start, known }).run();
  } finally {
    await stream[Symbol.asyncDispose]();
  }
}

class RunningLeg {
  readonly #leg: Leg;
  readonly #positions: StreamPositions;
  readonly #context: StreamContext;
  readonly #stream: WalStream;
  readonly #writer: StreamWriter;
  /** Up to there it was stored before, and what comes is compared with it. */
  readonly #start: Lsn;
  readonly #comparedTo: Lsn;
  #finished: Promise<void> | undefined;
  #isCaughtUp = false;

  constructor(
    leg: Leg,
    { archive, repository, positions, intervalMs, cut }: LegOptions,
    context: StreamContext,
    { stream, start, known }: { readonly stream: WalStream; readonly start: Lsn; readonly known: Uint8Array },
  ) {
    this.#leg = leg;
    this.#positions = positions;
    this.#context = context;
    this.#stream = stream;
    this.#writer = new StreamWriter(
      {
        archive,
        repository,
        timeline: leg.timeline,
        start,
        known,
        intervalMs,
        onStored: () => this.#report(),
        onFailed: cut,
      },
      context,
    );
    this.#start = start;
    this.#comparedTo = addToLsn(start, known.length);
    positions.begin(leg.timeline, this.#comparedTo);
  }

  async run(): Promise<'timeline_ended' | 'stopped' | 'caught_up'> {
    const { stop } = this.#context;
    const onStop = (): void => void this.#finish().catch(() => undefined); // told where it is waited for
    stop.addEventListener('abort', onStop, { once: true });
    if (stop.aborted) onStop();
    try {
      await this.#endWhenCaughtUp();
      for await (const message of this.#stream.messages()) await this.#take(message);
      if (this.#finished === undefined) {
        await this.#writer.flush();
        return 'timeline_ended';
      }
      await this.#finished;
      return this.#isCaughtUp ? 'caught_up' : 'stopped';
    } catch (error) {
      // It may have been the last that was ever heard of this server.
      await this.#writer.flush();
      throw error;
    } finally {
      stop.removeEventListener('abort', onStop);
      await this.#writer.close();
    }
  }

  async #take(message: WalMessage): Promise<void> {
    this.#positions.heard(message.serverEnd);
    if (message.kind === 'wal' && this.#finished === undefined) {
      const before = this.#writer.received;
      await this.#writer.accept(message.bytes);
      // What was stored before has come again, and is the same.
      if (before < this.#comparedTo) this.#report();
      else this.#positions.came(message.bytes);
    } else {
      this.#tellPosition();
    }
    await this.#endWhenCaughtUp();
  }

  async #endWhenCaughtUp(): Promise<void> {
    const { until, from } = this.#leg;
    if (until === undefined || this.#finished !== undefined) return;
    if (this.#writer.received < until && from < until) return;
    this.#isCaughtUp = true;
    await this.#finish();
  }

  /** Stores what was received, tells the server, and says goodbye. */
  #finish(): Promise<void> {
    this.#finished ??= (async () => {
      await this.#writer.flush();
      this.#report();
      await this.#stream.end();
    })();
    return this.#finished;
  }

  /** Nothing is ever applied. What is told as flushed is durable. */
  #report(): void {
    const { received, stored } = this.#writer;
    // A slot that is told less than before goes back: nothing is told of what only comes once more.
    if (received >= this.#comparedTo && received > this.#start)
      this.#stream.report({ written: received, flushed: stored, applied: zeroLsn });
    this.#tellPosition();
  }

  #tellPosition(): void {
    const { received, stored } = this.#writer;
    this.#positions.stored(received, stored > this.#comparedTo ? stored : this.#comparedTo);
  }
}
