import { isFailure, reasonOf } from '../../kernel/errors/failure.ts';
import type { Lsn } from '../../postgres/lsn.ts';
import { WalScanner } from '../../postgres/wal/scan.ts';
import type { WalArchive } from '../../repository/wal/model.ts';
import type { PatientRepository } from './stream-patience.ts';
import type { StreamContext } from './stream-told.ts';
import { StreamUnit, type UnitPart } from './stream-unit.ts';

/** How often parts are compared with what others store at the same positions; whole units always are. */
const lookEveryNs = 10_000_000_000n;

export interface WriterOptions {
  readonly archive: WalArchive;
  readonly repository: PatientRepository;
  readonly timeline: number;
  /** Where a unit begins. */
  readonly start: Lsn;
  /** What the archive has from there on, up to the end of the unit. */
  readonly known: Uint8Array;
  /** How often new bytes are stored; 0: at once. */
  readonly intervalMs: number;
  /** More is durable now. */
  readonly onStored: () => void;
  /** Nothing more will be: called once. */
  readonly onFailed: (error: Error) => void;
}

/**
 * Stores WAL that comes in pieces: what is new as a part every now and then, and a unit when it is full. One put at a
 * time, in order; what comes meanwhile is gathered. Holds two units at most.
 */
export class StreamWriter {
  readonly #options: WriterOptions;
  readonly #context: StreamContext;
  readonly #scanner: WalScanner;
  readonly #running: Promise<void>;
  #unit: StreamUnit;
  /** Full, and to be stored before anything else. */
  #full: StreamUnit | undefined;
  #changed = Promise.withResolvers<void>();
  #failed: Error | undefined;
  #isUrgent = false;
  #isClosed = false;
  #putAtNs: bigint;
  #lookedAtNs: bigint | undefined;
  /** Parts that are being dropped. */
  #dropping: Promise<void> = Promise.resolve();

  constructor(options: WriterOptions, context: StreamContext) {
    this.#options = options;
    this.#context = context;
    const { archive, known } = options;
    const { segment_bytes: segmentBytes, system_identifier: systemIdentifier } = archive.info;
    this.#scanner = new WalScanner({ segmentBytes, systemIdentifier });
    this.#unit = new StreamUnit(archive, this.#scanner, options, known);
    this.#putAtNs = context.clock.monotonicNs() - BigInt(options.intervalMs) * 1_000_000n;
    this.#running = this.#run().catch((error: unknown) => this.#fail(error));
  }

  /** Behind the last byte that was taken. */
  get received(): Lsn {
    return this.#unit.at(this.#unit.filled);
  }

  /** Behind the last byte that is durable, with all from the beginning. */
  get stored(): Lsn {
    const unit = this.#full ?? this.#unit;
    return unit.at(unit.stored);
  }

  /** Takes what follows; waits while there is no room. Rejects when it cannot be stored, or is not what is stored there. */
  async accept(bytes: Uint8Array): Promise<void> {
    let rest = bytes;
    while (rest.length > 0) {
      this.#throwIfFailed();
      if (!this.#unit.isFull) rest = rest.subarray(this.#unit.take(rest));
      if (this.#unit.isFull && this.#full === undefined) this.#begin();
      else if (this.#unit.isFull) await this.#changed.promise;
    }
    this.#change();
  }

  /** Resolves when all that was taken is durable. */
  async flush(): Promise<void> {
    this.#isUrgent = true;
    this.#change();
    while (this.stored < this.received) {
      this.#throwIfFailed();
      await this.#changed.promise;
    }
    this.#isUrgent = false;
  }

  /** Ends. What is not stored yet is left out. */
  async close(): Promise<void> {
    this.#isClosed = true;
    this.#change();
    await this.#running;
    await this.#dropping;
  }

  #begin(): void {
    const { archive, timeline } = this.#options;
    this.#full = this.#unit;
    this.#unit = new StreamUnit(archive, this.#scanner, {
      timeline,
      start: this.#full.at(archive.unitBytes),
    });
  }

  async #run(): Promise<void> {
    while (!this.#isClosed) {
      if (this.#full !== undefined) await this.#putWhole(this.#full);
      else if (this.#unit.filled === this.#unit.stored) await this.#changed.promise;
      else if (this.#dueInMs() > 0) await this.#waitMs(this.#dueInMs());
      else await this.#putPart(this.#unit);
    }
  }

  #dueInMs(): number {
    if (this.#isUrgent) return 0;
    const passedMs = Number((this.#context.clock.monotonicNs() - this.#putAtNs) / 1_000_000n);
    return this.#options.intervalMs - passedMs;
  }

  async #waitMs(ms: number): Promise<void> {
    const over = new AbortController();
    const slept = this.#context.clock.sleep(ms, over.signal).catch(() => undefined);
    await Promise.race([slept, this.#changed.promise]);
    over.abort();
  }

  async #putWhole(unit: StreamUnit): Promise<void> {
    const whole = unit.wholePart();
    await this.#put(unit, whole, false);
    if (unit.hasParts) this.#drop(unit);
    unit.add(whole);
    this.#full = undefined;
    this.#stored();
  }

  async #putPart(unit: StreamUnit): Promise<void> {
    const part = unit.nextPart();
    const before = unit.hasParts && part.from === 0;
    await this.#put(unit, part, true);
    unit.add(part);
    this.#stored();
    if (before) this.#drop(unit);
    for (let many = unit.partOfMany(); many !== undefined; many = unit.partOfMany()) {
      await this.#put(unit, many, true);
      unit.add(many);
      this.#drop(unit);
    }
  }

  async #put(unit: StreamUnit, { from, to, level }: UnitPart, isPart: boolean): Promise<void> {
    const { archive, repository, timeline } = this.#options;
    const { clock, signal } = this.#context;
    const facts = unit.factsOf({ from, to, level });
    const stretch = { timeline, start: unit.at(from), bytes: unit.bytes.subarray(from, to) };
    const now = clock.monotonicNs();
    const unseen = isPart && this.#lookedAtNs !== undefined && now - this.#lookedAtNs < lookEveryNs;
    const known = (start: bigint, end: bigint): boolean => unit.knows(start, end);
    await repository.call(() => archive.put(stretch, facts, { signal, known, unseen }));
    if (!unseen) this.#lookedAtNs = now;
    this.#putAtNs = clock.monotonicNs();
  }

  /** Afterwards, beside all else: what stays needs space and nothing else, and the next time finds it. */
  #drop({ timeline, start }: StreamUnit): void {
    const { archive } = this.#options;
    const { log, signal } = this.#context;
    this.#dropping = this.#dropping.then(async () => {
      try {
        if (!signal.aborted) await archive.dropParts(timeline, start, { signal });
      } catch (error) {
        if (isFailure(error, 'wal_differs')) this.#fail(error);
        else log.warn('parts of WAL that are not needed any more stay', { reason: reasonOf(error) });
      }
    });
  }

  #stored(): void {
    this.#change();
    this.#options.onStored();
  }

  #fail(error: unknown): void {
    if (this.#failed !== undefined) return;
    this.#failed = error as Error;
    this.#change();
    this.#options.onFailed(this.#failed);
  }

  #throwIfFailed(): void {
    if (this.#failed !== undefined) throw this.#failed;
  }

  #change(): void {
    const changed = this.#changed;
    this.#changed = Promise.withResolvers();
    changed.resolve();
  }
}
