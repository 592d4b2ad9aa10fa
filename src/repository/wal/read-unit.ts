import { failure, isFailure, reasonOf } from '../../kernel/errors/failure.ts';
import type { WalStretch } from './model.ts';
import { refuseDifference } from './put.ts';
import { orGone, type WalStore } from './store.ts';
import { listUnit, readStretch } from './stretches.ts';

/** A unit whose objects vanish while they are read (its parts are dropped) is listed again, so many times. */
const tries = 5;

/**
 * As `WalArchive.readUnit`. What the listing promises without a gap is what comes out; where damage leaves less, and no
 * other copy has it, rejects with the first `object_damaged`.
 */
export async function readUnit(
  store: WalStore,
  timeline: number,
  unitStart: bigint,
  signal: AbortSignal | undefined,
): Promise<Uint8Array> {
  for (let attempt = 1; attempt <= tries; attempt += 1) {
    const unit = new UnitReader(store, timeline, unitStart, signal);
    const bytes = await unit.read();
    if (bytes !== undefined) return bytes;
  }
  const { location } = store.storage;
  throw failure('object_missing', { name: `WAL of timeline ${timeline}, listed and then gone`, location });
}

class UnitReader {
  readonly #store: WalStore;
  readonly #timeline: number;
  readonly #start: bigint;
  readonly #signal: AbortSignal | undefined;
  #damage: Error | undefined;
  #hasVanished = false;

  constructor(store: WalStore, timeline: number, start: bigint, signal: AbortSignal | undefined) {
    this.#store = store;
    this.#timeline = timeline;
    this.#start = start;
    this.#signal = signal;
  }

  /** Undefined when objects vanished meanwhile that were needed. */
  async read(): Promise<Uint8Array | undefined> {
    const listed = await listUnit(this.#store, this.#timeline, this.#start, this.#signal);
    const whole = listed.find(({ isWhole }) => isWhole);
    const bytes = whole === undefined ? undefined : await this.#tryRead(whole);
    if (bytes !== undefined) return bytes;
    const joined = await this.#join(listed.filter(({ isWhole }) => !isWhole));
    if (BigInt(joined.length) === reachOf(listed, this.#start) - this.#start) return joined;
    if (this.#hasVanished) return undefined;
    throw this.#damage ?? new Error('parts of a unit of WAL do not reach as far as listed');
  }

  /** Always takes the part that reaches farthest of those that begin no later than the last one ended. */
  async #join(parts: readonly WalStretch[]): Promise<Uint8Array> {
    const unit = new Uint8Array(parts.length === 0 ? 0 : this.#store.unitBytes);
    let left = [...parts];
    let reach = this.#start;
    for (;;) {
      left = left.filter(({ end }) => end > reach);
      const next = farthest(left.filter(({ start }) => start <= reach));
      if (next === undefined) return unit.subarray(0, Number(reach - this.#start));
      left = left.filter((part) => part !== next);
      const bytes = await this.#tryRead(next);
      if (bytes === undefined) continue;
      const known = unit.subarray(0, Number(reach - this.#start));
      const before = { timeline: this.#timeline, start: this.#start, end: reach, bytes: known };
      refuseDifference(this.#store, before, { ...next, bytes });
      unit.set(bytes, Number(next.start - this.#start));
      reach = next.end;
    }
  }

  async #tryRead(stretch: WalStretch): Promise<Uint8Array | undefined> {
    try {
      const bytes = await orGone(readStretch(this.#store, stretch, this.#signal));
      if (bytes === undefined) this.#hasVanished = true;
      return bytes;
    } catch (error) {
      if (!isFailure(error, 'object_damaged')) throw error;
      this.#damage ??= error;
      const fields = { object: stretch.objectName, reason: reasonOf(error) };
      this.#store.log.warn('an object with WAL is damaged; looking for another copy', fields);
      return undefined;
    }
  }
}

function farthest(parts: readonly WalStretch[]): WalStretch | undefined {
  let best: WalStretch | undefined;
  for (const part of parts) if (best === undefined || part.end > best.end) best = part;
  return best;
}

/** Where the first gap is: stretches come by position. */
function reachOf(stretches: readonly WalStretch[], from: bigint): bigint {
  let reach = from;
  for (const { start, end } of stretches) if (start <= reach && end > reach) reach = end;
  return reach;
}
