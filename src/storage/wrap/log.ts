import type { Clock } from '../../kernel/clock.ts';
import { isFailure } from '../../kernel/errors/failure.ts';
import type { Logger } from '../../kernel/log.ts';
import { partsOf, sizeOf } from '../parts.ts';
import type { CallOptions, Describe, GetOptions, ListOptions, ObjectInfo, Retain, Storage } from '../port.ts';
import type { RequestCounts } from '../requests.ts';

export type StorageOperation = 'put' | 'get' | 'list' | 'stat' | 'delete' | 'retain';

export interface OperationCount {
  calls: number;
  /** Calls that rejected. */
  failed: number;
  /** Bytes of the objects put or got; 0 for the other operations. */
  bytes: number;
  /** Objects a list gave; 0 for the other operations. */
  objects: number;
  durationMs: number;
}

/** A storage that counts what passes through it. */
export interface CountingStorage extends Storage {
  /** Since it was made; a list counts when it ends. */
  readonly counts: Readonly<Record<StorageOperation, Readonly<OperationCount>>>;
}

/** One debug line per call, with its duration, bytes and outcome; and sums per operation. */
export function withLog(
  storage: Storage,
  logger: Logger,
  clock: Pick<Clock, 'monotonicNs'>,
): CountingStorage {
  return new LoggingStorage(storage, logger, clock);
}

interface Volume {
  readonly bytes?: number;
  readonly objects?: number;
}

class LoggingStorage implements CountingStorage {
  readonly location: string;
  readonly retain: Retain | undefined;
  readonly counts: Record<StorageOperation, OperationCount> = {
    put: noCalls(),
    get: noCalls(),
    list: noCalls(),
    stat: noCalls(),
    delete: noCalls(),
    retain: noCalls(),
  };
  readonly #inner: Storage;
  readonly #logger: Logger;
  readonly #clock: Pick<Clock, 'monotonicNs'>;

  constructor(inner: Storage, logger: Logger, clock: Pick<Clock, 'monotonicNs'>) {
    this.location = inner.location;
    this.#inner = inner;
    this.#logger = logger;
    this.#clock = clock;
    const { retain } = inner;
    if (retain !== undefined)
      this.retain = (name, untilMs, call = {}) =>
        this.#observe(
          'retain',
          name,
          () => retain(name, untilMs, call),
          () => ({}),
        );
  }

  get describe(): Describe | undefined {
    return this.#inner.describe;
  }

  get requests(): RequestCounts | undefined {
    return this.#inner.requests;
  }

  put(name: string, data: Uint8Array | readonly Uint8Array[], options: CallOptions = {}): Promise<void> {
    const bytes = sizeOf(partsOf(data));
    return this.#observe(
      'put',
      name,
      () => this.#inner.put(name, data, options),
      () => ({ bytes }),
    );
  }

  get(name: string, options: GetOptions = {}): Promise<Uint8Array> {
    const volumeOf = (got: Uint8Array): Volume => ({ bytes: got.byteLength });
    return this.#observe('get', name, () => this.#inner.get(name, options), volumeOf);
  }

  stat(name: string, options: CallOptions = {}): Promise<ObjectInfo> {
    return this.#observe(
      'stat',
      name,
      () => this.#inner.stat(name, options),
      () => ({}),
    );
  }

  delete(name: string, options: CallOptions = {}): Promise<void> {
    return this.#observe(
      'delete',
      name,
      () => this.#inner.delete(name, options),
      () => ({}),
    );
  }

  foreign(options: CallOptions = {}): Promise<string | undefined> {
    return this.#inner.foreign(options);
  }

  close(): Promise<void> {
    return this.#inner.close();
  }

  async *list(prefix: string, options: ListOptions = {}): AsyncGenerator<ObjectInfo, void, void> {
    const startNs = this.#clock.monotonicNs();
    let objects = 0;
    // Stays so when the reader leaves the loop early.
    let outcome = 'left';
    try {
      for await (const info of this.#inner.list(prefix, options)) {
        objects += 1;
        yield info;
      }
      outcome = 'done';
    } catch (error) {
      outcome = outcomeOf(error);
      throw error;
    } finally {
      this.#record('list', prefix, startNs, outcome, { objects });
    }
  }

  async #observe<T>(
    operation: StorageOperation,
    name: string,
    call: () => Promise<T>,
    volumeOf: (result: T) => Volume,
  ): Promise<T> {
    const startNs = this.#clock.monotonicNs();
    try {
      const result = await call();
      this.#record(operation, name, startNs, 'done', volumeOf(result));
      return result;
    } catch (error) {
      this.#record(operation, name, startNs, outcomeOf(error), {});
      throw error;
    }
  }

  #record(operation: StorageOperation, name: string, startNs: bigint, outcome: string, volume: Volume): void {
    const durationMs = Number(this.#clock.monotonicNs() - startNs) / 1e6;
    const count = this.counts[operation];
    count.calls += 1;
    count.durationMs += durationMs;
    count.bytes += volume.bytes ?? 0;
    count.objects += volume.objects ?? 0;
    if (outcome !== 'done' && outcome !== 'left') count.failed += 1;
    this.#logger.debug(`storage ${operation}`, { name, outcome, durationMs, ...volume });
  }
}

function noCalls(): OperationCount {
  return { calls: 0, failed: 0, bytes: 0, objects: 0, durationMs: 0 };
}

function outcomeOf(error: unknown): string {
  if (isFailure(error)) return error.code;
  return error instanceof Error ? error.name : 'failed';
}
