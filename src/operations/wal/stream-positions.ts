import { zeroLsn, type Lsn } from '../../postgres/lsn.ts';
import { walPageBytes } from '../../postgres/wal/format.ts';
import type { StreamContext, StreamPosition } from './stream-told.ts';

const zeros = new Uint8Array(walPageBytes);

/** How far a stream is, over all its connections. */
export class StreamPositions {
  readonly #context: StreamContext;
  #timeline = 0;
  #received = zeroLsn;
  #stored = zeroLsn;
  #serverEnd = zeroLsn;
  #writtenBytes = 0;
  #heardAtNs: bigint | undefined;
  /** When everything was stored last. */
  #caughtUpAtNs: bigint | undefined;

  constructor(context: StreamContext) {
    this.#context = context;
  }

  begin(timeline: number, start: Lsn): void {
    // A server that was restored, or another one in its place, may be far behind where the old timeline was.
    if (timeline !== this.#timeline) this.#serverEnd = start;
    this.#timeline = timeline;
    this.#received = start;
    this.#stored = start;
  }

  /** Bytes that were not stored before. A switch leaves its segment full of zeros, which nobody wrote. */
  came(bytes: Uint8Array): void {
    for (let at = 0; at < bytes.length; at += walPageBytes) {
      const page = bytes.subarray(at, at + walPageBytes);
      if (Buffer.compare(page, zeros.subarray(0, page.length)) !== 0) this.#writtenBytes += page.length;
    }
  }

  heard(serverEnd: Lsn): void {
    this.seen(serverEnd);
    this.#heardAtNs = this.#context.clock.monotonicNs();
  }

  /** From elsewhere than the stream. */
  seen(serverEnd: Lsn): void {
    if (serverEnd > this.#serverEnd) this.#serverEnd = serverEnd;
  }

  stored(received: Lsn, stored: Lsn): void {
    this.#received = received;
    this.#stored = stored;
    const now = this.#context.clock.monotonicNs();
    this.#caughtUpAtNs ??= now;
    if (stored >= this.#serverEnd) this.#caughtUpAtNs = now;
    this.#context.observer.position(this.now());
  }

  /** Nanoseconds since the server said anything; undefined when it never did. */
  get silentNs(): bigint | undefined {
    return this.#heardAtNs === undefined ? undefined : this.#context.clock.monotonicNs() - this.#heardAtNs;
  }

  get hasBegun(): boolean {
    return this.#timeline !== 0;
  }

  now(): StreamPosition {
    const waiting = this.#serverEnd - this.#stored;
    const now = this.#context.clock.monotonicNs();
    return {
      timeline: this.#timeline,
      received: this.#received,
      stored: this.#stored,
      serverEnd: this.#serverEnd,
      writtenBytes: this.#writtenBytes,
      lagBytes: waiting > 0n ? Number(waiting) : 0,
      lagSeconds: waiting > 0n ? Number(now - (this.#caughtUpAtNs ?? now)) / 1e9 : 0,
    };
  }
}
