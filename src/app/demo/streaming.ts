import { failure } from '../../kernel/errors/failure.ts';
import type { Event } from '../observer.ts';
import type { WalStreamResult } from '../wal/stream.ts';

/** Where a stream begins. */
export interface StreamBegun {
  readonly timeline: number;
  readonly lsn: string;
}

/** `holdfast wal stream`, in the background until disposed. */
export class Streaming implements AsyncDisposable {
  readonly #stop = new AbortController();
  readonly #begun = Promise.withResolvers<StreamBegun>();
  readonly #ended: Promise<WalStreamResult>;

  /** `run` is the use case; what it tells is looked at. */
  constructor(run: (signal: AbortSignal, hear: (event: Event) => void) => Promise<WalStreamResult>) {
    this.#ended = run(this.#stop.signal, (event) => this.#hear(event));
    this.#begun.promise.catch(() => undefined); // told by whoever waits for it
    this.#ended.then(
      () => this.#begun.reject(tooEarly()),
      (error: unknown) => this.#begun.reject(error),
    );
  }

  #hear({ type, state, timeline, lsn }: Event): void {
    if (type === 'wal' && state === 'streaming')
      this.#begun.resolve({ timeline: Number(timeline), lsn: String(lsn) });
  }

  /** Resolves when it streams. */
  begun(): Promise<StreamBegun> {
    return this.#begun.promise;
  }

  /** What waits for the stream: rejects when the stream ends, for it would wait for ever. */
  async during<T>(work: Promise<T>): Promise<T> {
    work.catch(() => undefined); // the stream may have failed before
    const ended = this.#ended.then(() => {
      throw tooEarly();
    });
    return await Promise.race([work, ended]);
  }

  /** Ends it, when all that has come is stored. */
  async end(): Promise<WalStreamResult> {
    this.#stop.abort(new Error('the demo ends its stream'));
    return await this.#ended;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.end().catch(() => undefined); // told by whoever waited for it
  }
}

function tooEarly(): Error {
  return failure('internal', { reason: 'the stream of the demo has ended before its time' });
}
