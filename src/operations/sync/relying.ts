import type { Reliance } from '../../repository/gc/reliance.ts';
import type { Repository } from '../../repository/repository.ts';
import type { WriteSession } from '../../repository/write-session.ts';
import type { StoreAnew } from './lacking.ts';
import { beginStoringAnew, doomedPacks, storeAnew } from './store-anew.ts';

/** What a sync relies on in a copy, and what keeps a prune there from removing it. */
export class Relying implements AsyncDisposable {
  /** For each id 1 when the copy has it, and then it is relied on. */
  readonly rely: (ids: Uint8Array) => Uint8Array;
  readonly anew: StoreAnew | undefined;
  readonly #reliance: Reliance;
  readonly #session: WriteSession | undefined;
  readonly #signal: AbortSignal;
  #bytesAnew = 0;

  private constructor(
    reliance: Reliance,
    rely: (ids: Uint8Array) => Uint8Array,
    signal: AbortSignal,
    anew?: { readonly session: WriteSession; readonly packs: StoreAnew },
  ) {
    this.rely = rely;
    this.anew = anew?.packs;
    this.#reliance = reliance;
    this.#session = anew?.session;
    this.#signal = signal;
  }

  /**
   * With `anew` nothing is relied on that is marked: what such packs hold is stored in new ones. Without, it is announced
   * that they are needed, which may be too late.
   */
  static async begin(
    from: Repository,
    copy: Repository,
    anew: boolean,
    signal: AbortSignal,
  ): Promise<Relying> {
    if (!anew) {
      const reliance = await copy.beginReliance(signal);
      return new Relying(reliance, (ids) => reliance.rely(ids), signal);
    }
    const session = await beginStoringAnew(copy, signal);
    try {
      const reliance = await copy.beginReliance(signal);
      const cache = await copy.cache(signal);
      const packs = {
        doomed: await doomedPacks(copy, signal),
        store: async (ids: readonly Uint8Array[]) => await storeAnew(from, session, ids, signal),
      };
      return new Relying(reliance, (ids) => cache.present(ids), signal, { session, packs });
    } catch (error) {
      await session[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** To be called often. `pack_doomed`. */
  async tick(): Promise<void> {
    await this.#reliance.tick(this.#signal);
  }

  /** All that is relied on is there, durable, and stays. Resolves with the bytes stored anew. `pack_doomed`, `pack_lost`. */
  async settle(): Promise<number> {
    const before = this.#bytesAnew;
    this.#bytesAnew = (await this.#session?.settle())?.bytesAdded ?? 0;
    await this.#reliance.settle(this.#signal);
    return this.#bytesAnew - before;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#session?.[Symbol.asyncDispose]();
  }
}
