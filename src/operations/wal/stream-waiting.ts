import type { HoldfastError } from '../../kernel/errors/failure.ts';
import type { Lsn } from '../../postgres/lsn.ts';
import type { StreamPositions } from './stream-positions.ts';
import type { StreamContext } from './stream-told.ts';

const lookEveryMs = 10_000;

export interface WaitingOptions {
  readonly positions: StreamPositions;
  readonly limitBytes: number;
  /** Asks the server where it is. */
  readonly serverEnd: (signal: AbortSignal) => Promise<Lsn>;
  readonly failureOf: (waitingBytes: number) => HoldfastError;
}

/** Looks every now and then how much WAL the server keeps for us, and tells when that is too much, twice as much, and no more. */
export class WaitingWatch implements Disposable {
  readonly #context: StreamContext;
  readonly #options: WaitingOptions;
  readonly #over = new AbortController();
  /** Told when more than this waits. */
  #nextBytes: number;

  constructor(context: StreamContext, options: WaitingOptions) {
    this.#context = context;
    this.#options = options;
    this.#nextBytes = options.limitBytes;
    void this.#run().catch(() => undefined); // ends by its signal
  }

  [Symbol.dispose](): void {
    this.#over.abort();
  }

  async #run(): Promise<void> {
    const { clock } = this.#context;
    for (;;) {
      await clock.sleep(lookEveryMs, this.#over.signal);
      await this.#ask();
      this.#look();
    }
  }

  /** Only when nothing was heard over the stream itself: it may be stopped by a repository that is away. */
  async #ask(): Promise<void> {
    const { positions, serverEnd } = this.#options;
    const { silentNs } = positions;
    if (silentNs === undefined || silentNs < BigInt(lookEveryMs) * 1_000_000n) return;
    try {
      positions.seen(await serverEnd(this.#over.signal));
    } catch {
      // A server that cannot be reached is told of by whoever streams.
    }
  }

  #look(): void {
    const { positions, limitBytes, failureOf } = this.#options;
    const { lagBytes, timeline, stored } = positions.now();
    const { observer } = this.#context;
    if (positions.hasBegun && lagBytes > this.#nextBytes) {
      observer.told({ state: 'waiting', timeline, lsn: stored, error: failureOf(lagBytes) });
      while (this.#nextBytes < lagBytes) this.#nextBytes *= 2;
    } else if (lagBytes <= limitBytes && this.#nextBytes > limitBytes) {
      this.#nextBytes = limitBytes;
      observer.told({ state: 'waiting_over', timeline, lsn: stored });
    }
  }
}
