import { failure, isFailure, type HoldfastError } from '../../kernel/errors/failure.ts';
import { byteSize } from '../../kernel/byte-size.ts';
import type { WalArchiveInfo } from '../../contract/wal.ts';
import type { Lsn } from '../../postgres/lsn.ts';
import { openReplication, type Replication } from '../../postgres/replication/replication.ts';
import type { SlotState } from '../../postgres/replication/slots.ts';
import type { ConnectionParameters } from '../../postgres/connection/connection.ts';
import { describeServer } from '../../postgres/connection/connection.ts';
import type { WalArchive } from '../../repository/wal/model.ts';
import { GrowingPause, PatientRepository } from './stream-patience.ts';
import { StreamPositions } from './stream-positions.ts';
import { GoneWal, StreamSession } from './stream-session.ts';
import { StreamSlot } from './stream-slot.ts';
import type { StreamContext, StreamObserver, StreamPosition } from './stream-told.ts';
import { segmentBytesOf, warnOfServer } from './stream-server.ts';
import { WaitingWatch } from './stream-waiting.ts';

export interface StreamOptions {
  readonly source: string;
  readonly connection: ConnectionParameters;
  /** Name of the replication slot, and of the connection. */
  readonly slot: string;
  readonly createSlot: boolean;
  /** Store at once what comes: commits wait for it. */
  readonly synchronous: boolean;
  /** Otherwise how often. */
  readonly intervalMs: number;
  /** More waiting than that is told. */
  readonly waitingLimitBytes: number;
  /** End when all is stored that the server had at the beginning, and at the first error. */
  readonly once: boolean;
  readonly openArchive: (info: Omit<WalArchiveInfo, 'created_at'>) => Promise<WalArchive>;
  /** State of the slot over SQL; undefined where it cannot be had. */
  readonly askSlot: () => Promise<SlotState | null | undefined>;
  /** After `stop`, how long storing the last may take. Default 10 s. */
  readonly graceMs?: number;
  /** How long a slot that somebody else has is waited for at first. Default 10 s, 2 with `once`: whoever had it may have been killed. */
  readonly slotPatienceMs?: number;
}

export interface StreamOutcome {
  readonly ended: 'stopped' | 'caught_up';
  readonly position: StreamPosition;
  readonly gaps: readonly { readonly timeline: number; readonly from: Lsn; readonly to: Lsn }[];
}

/** After a connection of ours broke off, the server notices within wal_sender_timeout. */
const ownSlotPatienceMs = 120_000;

/**
 * Stores the WAL of a server as it is written, until `stop`; connects again for as long as the errors are such that
 * waiting may help. Rejects with all others.
 */
export async function streamWal(
  options: StreamOptions,
  given: Omit<StreamContext, 'signal'>,
): Promise<StreamOutcome> {
  const hard = new AbortController();
  const { clock, stop } = given;
  const onStop = (): void => {
    given.observer.told({ state: 'stopping' });
    void clock.sleep(options.graceMs ?? 10_000, hard.signal).then(
      () => hard.abort(stop.reason),
      () => undefined,
    );
  };
  stop.addEventListener('abort', onStop, { once: true });
  const streaming = new Streaming(options, { ...given, signal: hard.signal });
  try {
    return await streaming.run();
  } finally {
    stop.removeEventListener('abort', onStop);
    hard.abort(new Error('the stream has ended'));
  }
}

class Streaming {
  readonly #options: StreamOptions;
  readonly #context: StreamContext;
  readonly #server: string;
  readonly #repository: PatientRepository;
  readonly #positions: StreamPositions;
  readonly #slot: StreamSlot;
  readonly #gone = new GoneWal();
  readonly #pause = new GrowingPause();
  readonly #warned = new Set<string>();
  #archive: WalArchive | undefined;
  #isLost = false;
  #slotTakenSinceNs: bigint | undefined;

  constructor(options: StreamOptions, context: StreamContext) {
    this.#options = options;
    this.#context = { ...context, observer: this.#listening(context.observer) };
    this.#server = describeServer(options.connection);
    this.#repository = new PatientRepository(this.#context, !options.once);
    this.#positions = new StreamPositions(this.#context);
    this.#slot = new StreamSlot(
      { name: options.slot, server: this.#server, create: options.createSlot, askSql: options.askSlot },
      this.#context,
    );
  }

  async run(): Promise<StreamOutcome> {
    const { source, waitingLimitBytes } = this.#options;
    using _watch = new WaitingWatch(this.#context, {
      positions: this.#positions,
      limitBytes: waitingLimitBytes,
      serverEnd: (signal) => this.#serverEnd(signal),
      failureOf: (waiting) =>
        failure('wal_waiting', {
          source,
          server: this.#server,
          waiting: byteSize(waiting),
          limit: byteSize(waitingLimitBytes),
        }),
    });
    for (;;) {
      if (this.#context.stop.aborted) return this.#outcome('stopped');
      try {
        return this.#outcome(await this.#connection());
      } catch (error) {
        if (this.#context.signal.aborted) return this.#outcome('stopped');
        await this.#recover(error);
      }
    }
  }

  #outcome(ended: StreamOutcome['ended']): StreamOutcome {
    return { ended, position: this.#positions.now(), gaps: this.#gone.gaps };
  }

  async #connection(): Promise<'stopped' | 'caught_up'> {
    const { slot, synchronous, intervalMs, once } = this.#options;
    const cut = new AbortController();
    await using replication = await this.#open(cut);
    const archive = await this.#openArchive(replication);
    await warnOfServer(
      replication,
      { ...this.#options, server: this.#server, archive },
      this.#warned,
      this.#context,
    );
    await this.#slot.prepare(replication);
    const session = new StreamSession(
      replication,
      {
        archive,
        repository: this.#repository,
        positions: this.#positions,
        slot,
        streamSlot: this.#slot,
        intervalMs: synchronous ? 0 : intervalMs,
        cut: (error) => cut.abort(error),
        server: this.#server,
        once,
        gone: this.#gone,
      },
      this.#context,
    );
    return await session.run();
  }

  async #open(cut: AbortController): Promise<Replication> {
    const { clock, signal, stop } = this.#context;
    const { connection, slot } = this.#options;
    const onStop = (): void => cut.abort(stop.reason);
    stop.addEventListener('abort', onStop, { once: true });
    try {
      const either = AbortSignal.any([signal, cut.signal]);
      return await openReplication(connection, either, { clock, applicationName: slot });
    } finally {
      stop.removeEventListener('abort', onStop);
    }
  }

  async #openArchive(replication: Replication): Promise<WalArchive> {
    const { systemIdentifier } = await replication.identifySystem();
    const { source, openArchive } = this.#options;
    const expected = this.#archive?.info.system_identifier;
    if (expected !== undefined && expected !== systemIdentifier)
      throw failure('wal_other_cluster', { server: this.#server, expected, found: systemIdentifier });
    const info = {
      source,
      system_identifier: systemIdentifier,
      segment_bytes: segmentBytesOf(await replication.show('wal_segment_size')),
      postgres_major: Math.floor(replication.serverVersionNumber / 10_000),
    };
    this.#archive ??= await this.#repository.call(() => openArchive(info));
    return this.#archive;
  }

  /** Where the server is, over a connection of its own: ours may be at rest. */
  async #serverEnd(signal: AbortSignal): Promise<Lsn> {
    const { connection, slot } = this.#options;
    const { clock } = this.#context;
    await using replication = await openReplication(connection, signal, {
      clock,
      applicationName: `${slot}_look`,
    });
    return (await replication.identifySystem()).flushedTo;
  }

  /** Waits before the next attempt; throws what no waiting heals. */
  async #recover(broken: unknown): Promise<void> {
    const { clock, random, log, observer, stop } = this.#context;
    if (stop.aborted && broken === stop.reason) return;
    if (!isFailure(broken) || !this.#mayHeal(broken)) throw broken;
    log.info('the stream of WAL broke off', { error: broken });
    if (!this.#isLost) observer.told({ state: 'server_lost', error: broken });
    this.#isLost = true;
    await clock.sleep(this.#pause.nextMs(random), stop).catch(() => undefined);
  }

  #mayHeal(error: HoldfastError): boolean {
    if (error.errorName === 'replication_slot_active') return this.#mayBeFreed();
    this.#slotTakenSinceNs = undefined;
    return error.retryable && !this.#options.once;
  }

  #mayBeFreed(): boolean {
    const now = this.#context.clock.monotonicNs();
    this.#slotTakenSinceNs ??= now;
    const usualMs = this.#options.once ? 2000 : 10_000;
    const patienceMs = this.#positions.hasBegun
      ? ownSlotPatienceMs
      : (this.#options.slotPatienceMs ?? usualMs);
    return now - this.#slotTakenSinceNs < BigInt(patienceMs) * 1_000_000n;
  }

  /** Whatever comes from the server after it was lost is the end of that. */
  #listening(observer: StreamObserver): StreamObserver {
    return {
      told: (told) => observer.told(told),
      position: (position) => {
        this.#isLost = false;
        this.#slotTakenSinceNs = undefined;
        this.#pause.reset();
        observer.position(position);
      },
    };
  }
}
