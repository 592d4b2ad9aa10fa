import type { RequestCount, RequestCounter } from '../requests.ts';
import type { S3Deed } from './deed.ts';
import { s3Failure } from './errors.ts';
import type { S3Place } from './place.ts';

/** No line is so slow that it would not be better to break off and try again. */
const slowestBytesPerSecond = 64 * 1024;

export interface RequestOptions {
  readonly signal?: AbortSignal | undefined;
  /** Bytes of the body sent, for the count. */
  readonly sentBytes?: number;
  /** Bytes that are expected either way, for the deadline; those sent unless given. */
  readonly bytes?: number;
}

/** What a request is given: for the SDK, and to count what it receives. */
export interface RequestContext {
  readonly options: { readonly abortSignal: AbortSignal };
  readonly count: RequestCount;
}

/** Every request goes through here: it gets a deadline, is counted, and its errors become coded ones. */
export class S3Calls {
  readonly #place: S3Place;
  readonly #counter: RequestCounter;

  constructor(place: S3Place, counter: RequestCounter) {
    this.#place = place;
    this.#counter = counter;
  }

  /** Rejects with the signal's own reason when it aborts. `act` may read the body as well: it is under the deadline. */
  async run<T>(
    deed: S3Deed,
    { signal, sentBytes = 0, bytes = sentBytes }: RequestOptions,
    act: (request: RequestContext) => Promise<T>,
  ): Promise<T> {
    signal?.throwIfAborted();
    const count = this.#counter.of(deed.operation);
    count.requests += 1;
    count.sentBytes += sentBytes;
    const withinMs = 2 * this.#place.settings.timeout + (bytes / slowestBytesPerSecond) * 1000;
    using deadline = new Deadline(withinMs, signal);
    try {
      return await act({ options: { abortSignal: deadline.signal }, count });
    } catch (error) {
      count.failed += 1;
      if (signal?.aborted === true) throw signal.reason;
      throw s3Failure(deadline.isOver ? deadline.error : error, deed, this.#place);
    }
  }
}

/** Aborts when the time is over or the caller's signal aborts; lets go of both when the scope ends. */
class Deadline implements Disposable {
  readonly error: Error;
  readonly #controller = new AbortController();
  readonly #outer: AbortSignal | undefined;
  readonly #timer: NodeJS.Timeout;
  isOver = false;

  constructor(withinMs: number, outer: AbortSignal | undefined) {
    this.error = new Error(`${Math.round(withinMs / 1000)} s for one request`);
    this.error.name = 'DeadlineError';
    this.#outer = outer;
    outer?.addEventListener('abort', this.#onAbort, { once: true });
    this.#timer = setTimeout(() => {
      this.isOver = true;
      this.#controller.abort(this.error);
    }, withinMs);
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  readonly #onAbort = (): void => this.#controller.abort(this.#outer?.reason);

  [Symbol.dispose](): void {
    clearTimeout(this.#timer);
    this.#outer?.removeEventListener('abort', this.#onAbort);
  }
}
