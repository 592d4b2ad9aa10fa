import type { Clock } from '../../kernel/clock.ts';
import { failure } from '../../kernel/errors/failure.ts';
import { joinParts, partsOf } from '../parts.ts';
import type { CallOptions, Describe, GetOptions, ListOptions, ObjectInfo, Retain, Storage } from '../port.ts';
import type { RequestCounts } from '../requests.ts';
import type { Fault, FaultPlan } from './fault-plan.ts';
import type { StorageOperation } from './log.ts';

/** For tests: a storage with which goes wrong what `plan` says. The clock is needed for `delay` only. */
export function withFaults(storage: Storage, plan: FaultPlan, clock?: Pick<Clock, 'sleep'>): Storage {
  return new FaultyStorage(storage, plan, clock);
}

class FaultyStorage implements Storage {
  readonly location: string;
  readonly retain: Retain | undefined;
  readonly #inner: Storage;
  readonly #plan: FaultPlan;
  readonly #clock: Pick<Clock, 'sleep'> | undefined;
  #calls = 0;
  #mutations = 0;
  #crashed = false;

  constructor(inner: Storage, plan: FaultPlan, clock: Pick<Clock, 'sleep'> | undefined) {
    this.location = inner.location;
    this.#inner = inner;
    this.#plan = plan;
    this.#clock = clock;
    const { retain } = inner;
    if (retain !== undefined)
      this.retain = (name, untilMs, call = {}) =>
        this.#run('retain', name, call.signal, () => retain(name, untilMs, call));
  }

  get describe(): Describe | undefined {
    return this.#inner.describe;
  }

  get requests(): RequestCounts | undefined {
    return this.#inner.requests;
  }

  put(name: string, data: Uint8Array | readonly Uint8Array[], options: CallOptions = {}): Promise<void> {
    return this.#run('put', name, options.signal, (fault) => {
      if (fault?.kind === 'torn_write') return this.#tear(name, data, fault.error);
      if (fault?.kind !== 'short_write') return this.#inner.put(name, data, options);
      return this.#inner.put(name, joinParts(partsOf(data)).subarray(0, fault.keepBytes), options);
    });
  }

  get(name: string, options: GetOptions = {}): Promise<Uint8Array> {
    return this.#run('get', name, options.signal, async (fault) => {
      const bytes = await this.#inner.get(name, options);
      if (fault?.kind === 'truncate') return bytes.subarray(0, fault.keepBytes);
      return fault?.kind === 'flip_bit' ? flipped(bytes, fault.bit) : bytes;
    });
  }

  stat(name: string, options: CallOptions = {}): Promise<ObjectInfo> {
    return this.#run('stat', name, options.signal, () => this.#inner.stat(name, options));
  }

  delete(name: string, options: CallOptions = {}): Promise<void> {
    return this.#run('delete', name, options.signal, () => this.#inner.delete(name, options));
  }

  foreign(options: CallOptions = {}): Promise<string | undefined> {
    return this.#inner.foreign(options);
  }

  close(): Promise<void> {
    return this.#inner.close();
  }

  async *list(prefix: string, options: ListOptions = {}): AsyncGenerator<ObjectInfo, void, void> {
    const fault = await this.#run('list', prefix, options.signal, async (found) => found);
    let given = 0;
    for await (const info of this.#inner.list(prefix, options)) {
      if (this.#crashed) throw this.#injected(undefined);
      if (fault?.kind === 'list_fail' && given >= fault.items) break;
      if (fault?.kind === 'list_stale' && fault.hides(info.name)) continue;
      given += 1;
      yield info;
    }
    // A list shorter than the plan says fails at its end, where completeness would be claimed.
    if (fault?.kind === 'list_fail') throw this.#injected(fault.error);
  }

  async #run<T>(
    operation: StorageOperation,
    name: string,
    signal: AbortSignal | undefined,
    act: (fault: Fault | undefined) => Promise<T>,
  ): Promise<T> {
    const fault = this.#next(operation, name);
    if (fault?.kind === 'delay') await this.#wait(fault.ms, signal);
    if (fault?.kind === 'fail_before') throw this.#injected(fault.error);
    if (fault?.kind === 'crash' && !fault.applied) throw this.#injected(undefined);
    const result = await act(fault);
    if (fault?.kind === 'fail_after') throw this.#injected(fault.error);
    if (this.#crashed) throw this.#injected(undefined);
    return result;
  }

  #next(operation: StorageOperation, name: string): Fault | undefined {
    if (this.#crashed) throw this.#injected(undefined);
    const mutates = operation === 'put' || operation === 'delete' || operation === 'retain';
    this.#calls += 1;
    if (mutates) this.#mutations += 1;
    const fault = this.#plan({
      operation,
      name,
      index: this.#calls,
      mutation: mutates ? this.#mutations : 0,
    });
    if (fault?.kind === 'crash') this.#crashed = true;
    return fault;
  }

  async #wait(ms: number, signal: AbortSignal | undefined): Promise<void> {
    if (this.#clock === undefined) throw new TypeError('a fault plan with delays needs a clock');
    await this.#clock.sleep(ms, signal);
  }

  async #tear(
    name: string,
    data: Uint8Array | readonly Uint8Array[],
    error: Error | undefined,
  ): Promise<never> {
    const controller = new AbortController();
    const torn = this.#injected(error);
    setImmediate(() => controller.abort(torn));
    await this.#inner.put(name, data, { signal: controller.signal });
    // It was faster than the tear: what remains is a lost answer.
    throw torn;
  }

  #injected(error: Error | undefined): Error {
    const reason = this.#crashed ? 'injected crash' : 'injected fault';
    return error ?? failure('storage_unreachable', { location: this.location, reason });
  }
}

function flipped(bytes: Uint8Array, bit: number): Uint8Array {
  const copy = bytes.slice();
  const at = Math.floor(bit / 8) % Math.max(copy.byteLength, 1);
  const byte = copy[at];
  if (byte !== undefined) copy[at] = byte ^ (1 << (bit % 8));
  return copy;
}
