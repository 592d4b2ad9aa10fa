import { addToLsn, formatLsn, lsnOf, type Lsn } from '../lsn.ts';
import { quoteIdentifier } from '../names.ts';
import { commandFailed, lsnIn, numberIn, takeResults, unexpected } from './commands.ts';
import type { Link } from './link.ts';
import { copyDoneMessage, queryMessage, readTimeUs, statusMessage, types, type WireItem } from './wire.ts';

export interface WalPiece {
  readonly kind: 'wal';
  /** Of the first byte. Pieces follow each other without a gap, and end wherever the network ended them. */
  readonly start: Lsn;
  readonly bytes: Uint8Array;
  /** The end of the WAL of the server, when it sent this. */
  readonly serverEnd: Lsn;
  /** Microseconds since 1970, by the server's clock. */
  readonly serverTimeUs: number;
}

export interface Keepalive {
  readonly kind: 'keepalive';
  readonly serverEnd: Lsn;
  readonly serverTimeUs: number;
}

export type WalMessage = WalPiece | Keepalive;

export interface WalPositions {
  /** Behind the last byte that was taken. */
  readonly written: Lsn;
  /** Behind the last byte that is durable: the server may forget everything before it. */
  readonly flushed: Lsn;
  readonly applied: Lsn;
  /** Ask the server to answer with a keepalive. */
  readonly replyRequested?: boolean;
}

export interface TimelineEnd {
  readonly nextTimeline: number;
  /** Where the next timeline leaves this one. */
  readonly switchpoint: Lsn;
}

export interface StreamRequest {
  readonly slot?: string | undefined;
  readonly start: Lsn;
  readonly timeline: number;
  /** No message for so long ends the stream with `postgres_silent`. Default 60 s. */
  readonly silentAfterMs?: number | undefined;
}

export interface StreamTiming {
  /** A report goes out at least as often. */
  readonly statusEveryMs: number;
  /** Milliseconds since 1970. */
  readonly now: () => number;
}

/** WAL as it is written by the server. */
export interface WalStream extends AsyncDisposable {
  /**
   * What comes, in order; done at the end of the timeline. To be read at most once. Rejects with the signal's reason,
   * `wal_removed_on_server`, `wal_start_ahead`, `postgres_server_gone`, `postgres_silent` and what else the server says.
   */
  messages(): AsyncIterable<WalMessage>;
  /**
   * Tells the server how far we are, now and until the next call. `flushed` moves the slot and lets commits that wait
   * for us be done: never more than what is durable. What is less than before is passed over.
   */
  report(positions: WalPositions): void;
  /**
   * Ends the stream; the connection can be used for other commands then. Gives what follows the timeline if its end was
   * reached, null when it was broken off before: WAL that was under way then is dropped.
   */
  end(): Promise<TimelineEnd | null>;
  /** The most bytes that ever waited for their reader. */
  readonly mostBuffered: number;
}

const walHeaderBytes = 25;
const keepaliveBytes = 18;
const defaultSilentAfterMs = 60_000;
const letterW = 0x77;
const letterK = 0x6b;

/** Throws `wal_timeline_unknown`, the errors of slots, and what else the server says before it begins. */
export async function startStream(
  link: Link,
  request: StreamRequest,
  timing: StreamTiming,
): Promise<WalStream> {
  const { slot, start, timeline } = request;
  link.headBytes = (first) => (first === letterW ? walHeaderBytes : keepaliveBytes);
  const from = slot === undefined ? '' : `SLOT ${quoteIdentifier(slot)} `;
  link.send(queryMessage(`START_REPLICATION ${from}PHYSICAL ${formatLsn(start)} TIMELINE ${timeline}`));
  const item = await link.next();
  if (item.type === types.errorResponse) throw await commandFailed(link, item, request);
  if (item.type === types.copyBothResponse) return new Stream(link, request, timing);
  // The timeline ends right where we start: there is nothing to copy, only what follows.
  if (item.type !== types.rowDescription) throw link.protocolFailure(unexpected(item));
  return new EmptyStream(await takeTimelineEnd(link, request));
}

class Stream implements WalStream {
  readonly #link: Link;
  readonly #request: StreamRequest;
  readonly #timing: StreamTiming;
  readonly #statusTimer: NodeJS.Timeout;
  #written = 0n;
  #flushed = 0n;
  #applied = 0n;
  #expected: Lsn;
  /** The server has sent all it has of the timeline. */
  #serverDone = false;
  #stopping = false;
  /** `messages()` waits for the connection. */
  #isReading = false;
  #copyOver = Promise.withResolvers<void>();
  #end: Promise<TimelineEnd | null> | undefined;

  constructor(link: Link, request: StreamRequest, timing: StreamTiming) {
    this.#link = link;
    this.#request = request;
    this.#timing = timing;
    this.#expected = request.start;
    this.#copyOver.promise.catch(() => undefined); // who ends the stream is told; nobody else has to know
    link.onArrival = (item) => this.#onArrival(item);
    link.watch({
      afterMs: request.silentAfterMs ?? defaultSilentAfterMs,
      onHalf: () => this.#sendStatus(true),
    });
    this.#statusTimer = setInterval(() => this.#sendStatus(false), timing.statusEveryMs).unref();
    // At once, so that the server knows that we are there.
    this.#sendStatus(false);
  }

  get mostBuffered(): number {
    return this.#link.mostBuffered;
  }

  async *messages(): AsyncGenerator<WalMessage, void, void> {
    while (!this.#serverDone) {
      const message = await this.#read();
      if (message !== undefined && !this.#stopping) yield message;
    }
  }

  report({ written, flushed, applied, replyRequested = false }: WalPositions): void {
    if (written > this.#written) this.#written = written;
    if (flushed > this.#flushed) this.#flushed = flushed;
    if (applied > this.#applied) this.#applied = applied;
    this.#sendStatus(replyRequested);
  }

  async end(): Promise<TimelineEnd | null> {
    this.#end ??= this.#finish();
    return await this.#end;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    // What broke it was told by messages().
    await this.end().catch(() => undefined);
  }

  async #finish(): Promise<TimelineEnd | null> {
    const reachedEnd = this.#serverDone;
    this.#stopping = true;
    this.#link.send(copyDoneMessage);
    try {
      if (this.#isReading) await this.#copyOver.promise;
      while (!this.#serverDone) await this.#read();
      this.#stopTimers();
      const next = await takeTimelineEnd(this.#link, this.#request);
      return reachedEnd ? next : null;
    } finally {
      this.#stopTimers();
    }
  }

  /** One message; undefined when the server says that there are no more. */
  async #read(): Promise<WalMessage | undefined> {
    this.#isReading = true;
    try {
      const item = await this.#link.next();
      if (item.type === types.copyData) return this.#understand(item);
      if (item.type === types.errorResponse) throw await commandFailed(this.#link, item, this.#request);
      if (item.type === types.commandComplete) throw this.#link.isShuttingDown();
      if (item.type !== types.copyDone) throw this.#link.protocolFailure(unexpected(item));
      this.#serverDone = true;
      this.#link.watch(undefined); // it is the server's turn to wait
      this.#copyOver.resolve();
      return undefined;
    } catch (error) {
      // The server has left the copy, or is gone: there is nothing to end any more.
      this.#stopTimers();
      this.#copyOver.reject(error);
      this.#end ??= this.#copyOver.promise.then(() => null);
      this.#end.catch(() => undefined);
      throw error;
    } finally {
      this.#isReading = false;
    }
  }

  #understand({ head, bytes, offset }: WireItem): WalMessage {
    if (head[0] === letterK && head.length === keepaliveBytes) {
      const serverEnd = lsnOf(head.readBigUInt64BE(1));
      return { kind: 'keepalive', serverEnd, serverTimeUs: readTimeUs(head, 9) };
    }
    if (head[0] !== letterW || head.length !== walHeaderBytes)
      throw this.#link.protocolFailure('a message within a stream of WAL is neither WAL nor a keepalive');
    const start = addToLsn(lsnOf(head.readBigUInt64BE(1)), offset);
    if (start !== this.#expected) {
      const reason = `WAL from ${formatLsn(start)} came where that from ${formatLsn(this.#expected)} was due`;
      throw this.#link.protocolFailure(reason);
    }
    this.#expected = addToLsn(start, bytes.length);
    const serverEnd = lsnOf(head.readBigUInt64BE(9));
    return { kind: 'wal', start, bytes, serverEnd, serverTimeUs: readTimeUs(head, 17) };
  }

  /** Asked for an answer the server waits for it, whatever our reader is doing. */
  #onArrival({ type, head }: WireItem): void {
    if (type === types.copyData && head[0] === letterK && head[keepaliveBytes - 1] === 1)
      this.#sendStatus(false);
  }

  #sendStatus(wantsReply: boolean): void {
    if (this.#stopping) return;
    const at = { written: this.#written, flushed: this.#flushed, applied: this.#applied };
    this.#link.send(statusMessage(at, BigInt(Math.trunc(this.#timing.now() * 1000)), wantsReply));
  }

  #stopTimers(): void {
    clearInterval(this.#statusTimer);
    this.#link.watch(undefined);
    this.#link.onArrival = undefined;
  }
}

class EmptyStream implements WalStream {
  readonly mostBuffered = 0;
  readonly #next: TimelineEnd | null;

  constructor(next: TimelineEnd | null) {
    this.#next = next;
  }

  async *messages(): AsyncGenerator<WalMessage, void, void> {
    // the timeline has ended before
  }

  report(): void {
    // nobody listens
  }

  end(): Promise<TimelineEnd | null> {
    return Promise.resolve(this.#next);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return Promise.resolve();
  }
}

/** A stream of a timeline that has ended closes with a row that says where it went on. */
async function takeTimelineEnd(link: Link, request: StreamRequest): Promise<TimelineEnd | null> {
  const rows = (await takeResults(link, request)).flat();
  const [row] = rows;
  if (row === undefined) return null;
  return { nextTimeline: numberIn(link, row, 0), switchpoint: lsnIn(link, row, 1) };
}
