import type { Transferable } from 'node:worker_threads';
import { catalogue, type ErrorName } from '../kernel/errors/catalogue.ts';
import { asFailure, HoldfastError } from '../kernel/errors/failure.ts';

/** The part of a MessagePort, or of a Worker, that a channel needs. */
export interface Port {
  postMessage(message: unknown, transfer?: readonly Transferable[]): void;
  on(event: 'message', listener: (message: unknown) => void): unknown;
}

/** An answer whose buffers move to the other thread instead of being copied. */
export class Moved {
  readonly value: unknown;
  readonly transfer: readonly Transferable[];

  constructor(value: unknown, transfer: readonly Transferable[]) {
    this.value = value;
    this.transfer = transfer;
  }
}

type Handler = (payload: never) => unknown;
export type Handlers = Readonly<Record<string, Handler>>;

interface WireError {
  readonly errorName: string;
  readonly message: string;
  readonly hint: string;
  readonly details: Readonly<Record<string, unknown>>;
  readonly stack: string | undefined;
}

type WireMessage =
  | { readonly kind: 'call'; readonly id: number; readonly method: string; readonly payload: unknown }
  | { readonly kind: 'tell'; readonly method: string; readonly payload: unknown }
  | { readonly kind: 'answer'; readonly id: number; readonly value: unknown }
  | { readonly kind: 'error'; readonly id: number; readonly error: WireError };

interface Waiting {
  resolve(value: unknown): void;
  reject(error: Error): void;
}

/** Calls between two threads, both ways, with coded errors that arrive whole. */
export class Channel {
  readonly #port: Port;
  readonly #handlers: Handlers;
  readonly #waiting = new Map<number, Waiting>();
  #nextId = 1;
  #closed: Error | undefined;

  constructor(port: Port, handlers: Handlers) {
    this.#port = port;
    this.#handlers = handlers;
    port.on('message', (message) => this.#receive(message as WireMessage));
  }

  call<T>(method: string, payload: unknown, transfer: readonly Transferable[] = []): Promise<T> {
    if (this.#closed !== undefined) return Promise.reject(this.#closed);
    const id = this.#nextId;
    this.#nextId += 1;
    return new Promise<T>((resolve, reject) => {
      this.#waiting.set(id, { resolve, reject });
      this.#port.postMessage({ kind: 'call', id, method, payload }, transfer);
    });
  }

  /** A message without an answer. */
  tell(method: string, payload: unknown): void {
    if (this.#closed === undefined) this.#port.postMessage({ kind: 'tell', method, payload });
  }

  /** The other side is gone: everything under way, and every later call, fails with `error`. */
  close(error: Error): void {
    this.#closed ??= error;
    for (const waiting of this.#waiting.values()) waiting.reject(error);
    this.#waiting.clear();
  }

  #receive(message: WireMessage): void {
    if (message.kind === 'answer' || message.kind === 'error') {
      const waiting = this.#waiting.get(message.id);
      this.#waiting.delete(message.id);
      if (message.kind === 'answer') waiting?.resolve(message.value);
      else waiting?.reject(fromWire(message.error));
      return;
    }
    const answer = this.#handle(message.method, message.payload);
    if (message.kind === 'tell') return;
    const { id } = message;
    answer.then(
      (value) => {
        if (value instanceof Moved)
          this.#port.postMessage({ kind: 'answer', id, value: value.value }, value.transfer);
        else this.#port.postMessage({ kind: 'answer', id, value });
      },
      (error: unknown) => this.#port.postMessage({ kind: 'error', id, error: toWire(error) }),
    );
  }

  async #handle(method: string, payload: unknown): Promise<unknown> {
    const handler = this.#handlers[method];
    if (handler === undefined) throw new Error(`no handler for ${method}`);
    return await handler(payload as never);
  }
}

function toWire(error: unknown): WireError {
  const failed = asFailure(error);
  const { errorName, message, hint, details } = failed;
  const stack = failed.cause instanceof Error ? failed.cause.stack : failed.stack;
  return { errorName, message, hint, details, stack };
}

function fromWire(wire: WireError): HoldfastError {
  const name: ErrorName = Object.hasOwn(catalogue, wire.errorName)
    ? (wire.errorName as ErrorName)
    : 'internal';
  const cause = new Error(wire.message);
  if (wire.stack !== undefined) cause.stack = wire.stack;
  return new HoldfastError(name, wire.message, wire.hint, { details: wire.details, cause });
}
