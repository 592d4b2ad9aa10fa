import type { Duplex } from 'node:stream';
import { failure } from '../../kernel/errors/failure.ts';
import { replicationFailure, type ReplicationSetting } from './errors.ts';
import {
  parseServerMessage,
  terminateMessage,
  types,
  WireReader,
  type HeadBytes,
  type ServerMessage,
  type WireItem,
} from './wire.ts';

/** Above the first the socket is not read any more, until the consumer has come below the second. */
const highWaterBytes = 4 * 1_048_576;
const lowWaterBytes = 1_048_576;
/** What an item costs besides its bytes: many small messages must not fill the memory either. */
const itemBytes = 200;
const closeWithinMs = 1_000;

export interface Silence {
  /** So long without a message, while messages are wanted, ends the connection with `postgres_silent`. */
  readonly afterMs: number;
  /** Called when half of that is over: to ask whether the server is there. */
  readonly onHalf?: () => void;
}

/**
 * A connection that has been opened and asks for something now: messages come in a queue that holds few megabytes, and
 * the socket is paused while it is full. Rejects with coded errors, after everything that came before.
 */
export class Link {
  /** Sees every message the moment it comes, however much is waiting before it. */
  onArrival: ((item: WireItem) => void) | undefined;
  onNotice: ((notice: ServerMessage) => void) | undefined;
  /** The most bytes that ever waited. */
  mostBuffered = 0;
  readonly #socket: Duplex;
  readonly #setting: ReplicationSetting;
  readonly #signal: AbortSignal;
  readonly #reader = new WireReader();
  #queue: WireItem[] = [];
  #taken = 0;
  #buffered = 0;
  #paused = false;
  /** Why no more will come; what has come can still be taken. */
  #ended: Error | undefined;
  #isClosed = false;
  #waiting: { resolve: (item: WireItem) => void; reject: (error: Error) => void } | undefined;
  #silence: Silence | undefined;
  #silenceTimer: NodeJS.Timeout | undefined;
  #isHalfOver = false;

  constructor(socket: Duplex, setting: ReplicationSetting, signal: AbortSignal) {
    this.#socket = socket;
    this.#setting = setting;
    this.#signal = signal;
    socket.pause();
    // The library has done its part; from here on its parser would only copy what it does not understand.
    socket.removeAllListeners('data');
    socket.on('data', this.#onData);
    socket.on('error', this.#onError);
    socket.on('close', this.#onClose);
    signal.addEventListener('abort', this.#onAbort, { once: true });
    socket.resume();
    if (signal.aborted) this.#onAbort();
  }

  get setting(): ReplicationSetting {
    return this.#setting;
  }

  get isOpen(): boolean {
    return this.#ended === undefined;
  }

  /** The next message or piece, in order. Rejects when there are no more; one call at a time. */
  async next(): Promise<WireItem> {
    this.#signal.throwIfAborted();
    const item = this.#queue[this.#taken];
    if (item === undefined) return await this.#wait();
    this.#taken += 1;
    if (this.#taken === this.#queue.length || this.#taken === 1024) {
      this.#queue = this.#queue.slice(this.#taken);
      this.#taken = 0;
    }
    this.#buffered -= item.head.length + item.bytes.length + itemBytes;
    if (this.#paused && this.#buffered < lowWaterBytes) {
      this.#paused = false;
      this.#heard();
      this.#socket.resume();
    }
    return item;
  }

  set headBytes(value: HeadBytes) {
    this.#reader.headBytes = value;
  }

  send(message: Buffer): void {
    if (this.isOpen && this.#socket.writable) this.#socket.write(message);
  }

  /** Undefined: the server may be silent for as long as it likes. */
  watch(silence: Silence | undefined): void {
    clearInterval(this.#silenceTimer);
    this.#silence = silence;
    if (silence === undefined || !this.isOpen) return;
    this.#isHalfOver = false;
    this.#silenceTimer = setInterval(this.#onQuiet, silence.afterMs / 2).unref();
  }

  /** Ends it at once: what waits is dropped, and every later call rejects with this. */
  fail(error: Error): void {
    this.#queue = [];
    this.#taken = 0;
    this.#buffered = 0;
    this.#ended = error;
    this.#release();
    this.#socket.destroy();
    this.#waiting?.reject(error);
    this.#waiting = undefined;
  }

  protocolFailure(reason: string): Error {
    const error = failure('replication_protocol', { server: this.#setting.server, reason });
    this.fail(error);
    return error;
  }

  /** A server that shuts down says that the command is complete, in the middle of a stream. */
  isShuttingDown(): Error {
    const reason = 'it is shutting down';
    const error = failure('postgres_server_gone', { server: this.#setting.server, reason });
    this.fail(error);
    return error;
  }

  /** Says goodbye and closes; resolves when the socket is gone. */
  async close(): Promise<void> {
    if (this.#isClosed) return;
    const gone = new Promise<void>((resolve) => {
      this.#socket.once('close', () => resolve());
    });
    const timer = setTimeout(() => this.#socket.destroy(), closeWithinMs);
    if (this.isOpen) {
      this.#ended = failure('internal', { reason: 'the connection for replication was closed already' });
      this.#release();
      this.#socket.resume();
      this.#socket.end(terminateMessage);
    } else {
      this.#socket.destroy();
    }
    await gone;
    clearTimeout(timer);
  }

  #wait(): Promise<WireItem> {
    if (this.#ended !== undefined) return Promise.reject(this.#ended);
    return new Promise((resolve, reject) => {
      this.#waiting = { resolve, reject };
    });
  }

  readonly #onData = (chunk: Buffer): void => {
    if (!this.isOpen) return;
    this.#heard();
    if (!this.#reader.feed(chunk, this.#arrived)) {
      this.#finish(this.#protocol());
      return;
    }
    if (this.#buffered > this.mostBuffered) this.mostBuffered = this.#buffered;
    if (this.#buffered > highWaterBytes && !this.#paused) {
      this.#paused = true;
      this.#socket.pause();
    }
  };

  readonly #arrived = (item: WireItem): void => {
    if (item.type === types.noticeResponse) {
      this.onNotice?.(parseServerMessage(item.head));
      return;
    }
    if (item.type === types.parameterStatus || item.type === types.notificationResponse) return;
    this.onArrival?.(item);
    const waiting = this.#waiting;
    if (waiting !== undefined) {
      this.#waiting = undefined;
      waiting.resolve(item);
      return;
    }
    this.#queue.push(item);
    this.#buffered += item.head.length + item.bytes.length + itemBytes;
  };

  readonly #onError = (error: Error): void => {
    this.#finish(replicationFailure(error, this.#setting));
  };

  readonly #onClose = (): void => {
    this.#isClosed = true;
    this.#finish(
      failure('postgres_server_gone', {
        server: this.#setting.server,
        reason: 'the connection was closed',
      }),
    );
  };

  readonly #onAbort = (): void => {
    this.fail(this.#signal.reason as Error);
  };

  readonly #onQuiet = (): void => {
    if (this.#paused) return; // it is us who do not listen
    if (!this.#isHalfOver) {
      this.#isHalfOver = true;
      this.#silence?.onHalf?.();
      return;
    }
    const seconds = Math.round((this.#silence?.afterMs ?? 0) / 1000);
    this.#finish(failure('postgres_silent', { server: this.#setting.server, seconds }));
  };

  #heard(): void {
    this.#isHalfOver = false;
    this.#silenceTimer?.refresh();
  }

  #protocol(): Error {
    const reason = 'a message of an unknown type came';
    return failure('replication_protocol', { server: this.#setting.server, reason });
  }

  /** No more will come. What waits can still be taken. */
  #finish(error: Error): void {
    if (this.#ended !== undefined) return;
    this.#ended = error;
    this.#release();
    this.#socket.destroy();
    this.#waiting?.reject(error);
    this.#waiting = undefined;
  }

  #release(): void {
    clearInterval(this.#silenceTimer);
    this.#silenceTimer = undefined;
    this.#signal.removeEventListener('abort', this.#onAbort);
    // Errors after the end must find a listener, or they would end the process.
    this.#socket.on('error', ignore);
    this.#socket.off('data', this.#onData);
    this.#socket.off('error', this.#onError);
  }
}

function ignore(): void {
  // the end has been told
}
