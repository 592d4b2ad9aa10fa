import type { Clock } from '../../kernel/clock.ts';
import { failure, isFailure, type HoldfastError } from '../../kernel/errors/failure.ts';
import type { CallOptions, Describe, GetOptions, ListOptions, ObjectInfo, Retain, Storage } from '../port.ts';
import type { RequestCounts } from '../requests.ts';

export interface RetryOptions {
  readonly clock: Pick<Clock, 'sleep'>;
  /** Uniform in [0, 1). */
  readonly random: () => number;
  /** Tries in all, the first one included; 5 unless given. */
  readonly attempts?: number;
  /** Upper bound of the first pause; it doubles with every try. 200 unless given. */
  readonly baseDelayMs?: number;
  /** Upper bound of every pause; 20 000 unless given. */
  readonly maxDelayMs?: number;
  /** Told before every pause. */
  readonly onRetry?: (retry: Retry) => void;
}

export interface Retry {
  readonly operation: string;
  readonly error: HoldfastError;
  /** Tries that failed so far, from 1. */
  readonly attempt: number;
  readonly delayMs: number;
}

/**
 * Tries calls again that failed with an error that says `retryable`, after a random pause between 0 and a bound
 * that doubles ("full jitter"). Never after the caller's signal aborted. A put whose answer was lost comes out right
 * because the port takes the same bytes under the same name for success.
 */
export function withRetry(storage: Storage, options: RetryOptions): Storage {
  return new RetryingStorage(storage, options);
}

class RetryingStorage implements Storage {
  readonly location: string;
  readonly retain: Retain | undefined;
  readonly #inner: Storage;
  readonly #options: RetryOptions;

  constructor(inner: Storage, options: RetryOptions) {
    this.location = inner.location;
    this.#inner = inner;
    this.#options = options;
    const { retain } = inner;
    if (retain !== undefined)
      this.retain = (name, untilMs, call = {}) =>
        this.#retry('retain', call.signal, () => retain(name, untilMs, call));
  }

  get describe(): Describe | undefined {
    return this.#inner.describe;
  }

  get requests(): RequestCounts | undefined {
    return this.#inner.requests;
  }

  put(name: string, data: Uint8Array | readonly Uint8Array[], options: CallOptions = {}): Promise<void> {
    return this.#retry('put', options.signal, () => this.#inner.put(name, data, options));
  }

  get(name: string, options: GetOptions = {}): Promise<Uint8Array> {
    return this.#retry('get', options.signal, () => this.#inner.get(name, options));
  }

  stat(name: string, options: CallOptions = {}): Promise<ObjectInfo> {
    return this.#retry('stat', options.signal, () => this.#inner.stat(name, options));
  }

  delete(name: string, options: CallOptions = {}): Promise<void> {
    return this.#retry('delete', options.signal, () => this.#inner.delete(name, options));
  }

  foreign(options: CallOptions = {}): Promise<string | undefined> {
    return this.#inner.foreign(options);
  }

  close(): Promise<void> {
    return this.#inner.close();
  }

  /**
   * A listing that breaks off is asked for again and what was given already is passed over; each item given makes
   * the tries count from 1 again, so that long listings on poor lines end.
   */
  async *list(prefix: string, options: ListOptions = {}): AsyncGenerator<ObjectInfo, void, void> {
    const backoff = new Backoff('list', this.#options, options.signal);
    let last: string | undefined;
    for (;;) {
      options.signal?.throwIfAborted();
      try {
        let before: string | undefined;
        for await (const info of this.#inner.list(prefix, { ...options, after: last ?? options.after })) {
          if (before !== undefined && info.name <= before) throw outOfOrder(this.location, before, info.name);
          before = info.name;
          if (last !== undefined && info.name <= last) continue;
          last = info.name;
          backoff.reset();
          yield info;
        }
        return;
      } catch (error) {
        await backoff.pauseAfter(error);
      }
    }
  }

  async #retry<T>(operation: string, signal: AbortSignal | undefined, call: () => Promise<T>): Promise<T> {
    const backoff = new Backoff(operation, this.#options, signal);
    for (;;) {
      signal?.throwIfAborted();
      try {
        return await call();
      } catch (error) {
        await backoff.pauseAfter(error);
      }
    }
  }
}

class Backoff {
  readonly #operation: string;
  readonly #options: RetryOptions;
  readonly #signal: AbortSignal | undefined;
  #failed = 0;

  constructor(operation: string, options: RetryOptions, signal: AbortSignal | undefined) {
    this.#operation = operation;
    this.#options = options;
    this.#signal = signal;
  }

  reset(): void {
    this.#failed = 0;
  }

  /** Resolves when it is time for another try; throws `error` itself when there is to be none. */
  async pauseAfter(error: unknown): Promise<void> {
    const { attempts = 5, baseDelayMs = 200, maxDelayMs = 20_000, random, clock, onRetry } = this.#options;
    this.#failed += 1;
    // First of all, as the reason of an abort may itself be a coded error that says retryable.
    this.#signal?.throwIfAborted();
    if (!isFailure(error) || !error.retryable || this.#failed >= attempts) throw error;
    const delayMs = Math.floor(random() * Math.min(maxDelayMs, baseDelayMs * 2 ** (this.#failed - 1)));
    onRetry?.({ operation: this.#operation, error, attempt: this.#failed, delayMs });
    await clock.sleep(delayMs, this.#signal);
  }
}

/** Resuming relies on the order, and a listing out of order must not pass for a complete one. */
function outOfOrder(location: string, before: string, name: string): HoldfastError {
  return failure('storage_disorder', { location, before, name });
}
