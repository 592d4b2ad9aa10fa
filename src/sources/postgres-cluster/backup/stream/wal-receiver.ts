import { failure, isFailure } from '../../../../kernel/errors/failure.ts';
import { newBackupId } from '../../../../kernel/ids.ts';
import type { Logger } from '../../../../kernel/log.ts';
import { addToLsn, floorLsn, zeroLsn, type Lsn } from '../../../../postgres/lsn.ts';
import type { WalPoint } from '../../../../postgres/replication/base-backup.ts';
import type { Replication } from '../../../../postgres/replication/replication.ts';
import type { WalStream } from '../../../../postgres/replication/wal-stream.ts';
import { checkSegmentHeader } from '../../../../postgres/wal/header.ts';
import type { WalStore } from '../../../port.ts';
import type { StreamFacts } from './facts.ts';

/** What a header of a segment takes, with room to spare. */
const headerBytes = 64;

/** Has the server keep its WAL from its last checkpoint on, until the connection ends. Without a slot it is hoped to stay. */
export async function keepWal(replication: Replication, log: Logger): Promise<string | undefined> {
  const slot = `holdfast_backup_${newBackupId().slice(0, 16)}`;
  try {
    await replication.createSlot(slot, { temporary: true });
    return slot;
  } catch (error) {
    if (!isFailure(error, 'replication_slots_full') && !isFailure(error, 'replication_off')) throw error;
    log.debug('no temporary replication slot; WAL is hoped to stay', { reason: error.message });
    return undefined;
  }
}

export interface ReceiverOptions {
  readonly server: string;
  readonly slot: string | undefined;
  readonly facts: StreamFacts;
  readonly wal: WalStore;
  /** Whether the server may be told what is durable, so that it removes that WAL. */
  readonly mayTellFlushed: boolean;
}

/** Takes the WAL that is written during a base backup from a connection of its own, and stores what the archive lacks. */
export class WalReceiver {
  readonly #options: ReceiverOptions;
  readonly #stream: WalStream;
  readonly #timeline: number;
  readonly #unit: Buffer;
  /** Where the unit begins, and how far WAL has come. */
  #start: Lsn;
  #reached: Lsn;
  #end: Lsn | undefined;
  /** By the server's clock, in microseconds since 1970: when it sent what came last. */
  #serverTimeUs = 0;

  private constructor(options: ReceiverOptions, stream: WalStream, { lsn, timeline }: WalPoint) {
    this.#options = options;
    this.#stream = stream;
    this.#timeline = timeline;
    this.#unit = Buffer.allocUnsafe(options.wal.unitBytes);
    this.#start = lsn;
    this.#reached = lsn;
  }

  /** From the beginning of the segment that a base backup starts in: recovery asks for whole segments. */
  static async start(
    replication: Replication,
    { lsn, timeline }: WalPoint,
    options: ReceiverOptions,
  ): Promise<WalReceiver> {
    const start = floorLsn(lsn, options.facts.walSegmentBytes);
    const stream = await replication.stream({ slot: options.slot, start, timeline });
    return new WalReceiver(options, stream, { lsn: start, timeline });
  }

  /**
   * Resolves when everything up to the end is durable, with the server's clock then, in milliseconds since 1970.
   * `cluster_promoted` when the timeline ends before.
   */
  async run(): Promise<number> {
    for await (const message of this.#stream.messages()) {
      this.#serverTimeUs = message.serverTimeUs;
      if (message.kind === 'wal') await this.#take(message.bytes);
      if (this.#end === undefined || this.#reached < this.#end) continue;
      await this.#store(this.#end);
      return Math.ceil(this.#serverTimeUs / 1000);
    }
    throw failure('cluster_promoted', { server: this.#options.server });
  }

  /**
   * Tells where the backup ends. A primary begins a new segment then, so that the last one is complete; what a standby has
   * behind the end may change still, and is nothing that the backup needs.
   */
  endAt(stop: Lsn): void {
    const { facts } = this.#options;
    const floor = floorLsn(stop, facts.walSegmentBytes);
    this.#end = facts.inRecovery || floor === stop ? stop : addToLsn(floor, facts.walSegmentBytes);
    // So that something comes if everything has.
    this.#stream.report({ written: zeroLsn, flushed: zeroLsn, applied: zeroLsn, replyRequested: true });
  }

  async #take(bytes: Uint8Array): Promise<void> {
    for (let at = 0; at < bytes.length;) {
      const from = Number(this.#reached - this.#start);
      const part = bytes.subarray(at, at + this.#unit.length - from);
      this.#unit.set(part, from);
      this.#reached = addToLsn(this.#reached, part.length);
      at += part.length;
      if (from + part.length === this.#unit.length) await this.#store(this.#reached);
    }
  }

  /** Stores the unit up to a position, unless somebody else has, and begins the next. */
  async #store(wanted: Lsn): Promise<void> {
    const end = wanted < this.#reached ? wanted : this.#reached;
    const { wal, facts, server } = this.#options;
    if (end <= this.#start) return;
    const bytes = this.#unit.subarray(0, Number(end - this.#start));
    if (this.#start % BigInt(facts.walSegmentBytes) === 0n) {
      const { systemIdentifier, walSegmentBytes: segmentBytes } = facts;
      const expected = { start: this.#start, timeline: this.#timeline, systemIdentifier, segmentBytes };
      const wrong = checkSegmentHeader(bytes.subarray(0, headerBytes), expected);
      if (wrong !== null)
        throw failure('replication_protocol', { server, reason: `of a segment of WAL ${wrong}` });
    }
    if (!(await wal.covers(this.#timeline, this.#start, end)))
      await wal.put({ timeline: this.#timeline, start: this.#start, bytes });
    this.#start = end;
    if (this.#options.mayTellFlushed)
      this.#stream.report({ written: this.#reached, flushed: end, applied: zeroLsn });
  }
}
