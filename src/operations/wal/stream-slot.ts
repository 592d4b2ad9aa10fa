import { failure, isFailure } from '../../kernel/errors/failure.ts';
import type { Lsn } from '../../postgres/lsn.ts';
import type { Replication } from '../../postgres/replication/replication.ts';
import type { SlotState } from '../../postgres/replication/slots.ts';
import type { StreamContext } from './stream-told.ts';

export interface StreamSlotOptions {
  readonly name: string;
  readonly server: string;
  /** Make it when it is not there. */
  readonly create: boolean;
  /** Asks over SQL, for servers before 15; undefined where that is not possible. */
  readonly askSql: () => Promise<SlotState | null | undefined>;
}

/** The replication slot by which the server keeps WAL for us. */
export class StreamSlot {
  readonly #options: StreamSlotOptions;
  readonly #context: StreamContext;
  #wasThere = false;
  #kept: SlotState | undefined;

  constructor(options: StreamSlotOptions, context: StreamContext) {
    this.#options = options;
    this.#context = context;
  }

  /**
   * Sees to it that the slot is there and keeps WAL; one that was lost is made anew, and that is told.
   * `replication_slot_missing`, `replication_slot_unfit`, `replication_slot_active`.
   */
  async prepare(replication: Replication): Promise<void> {
    const state = await this.#read(replication);
    if (state === undefined) await this.#makeUnlessThere(replication);
    else if (state === null)
      await this.#make(replication, this.#wasThere ? 'it is not there any more' : undefined);
    else if (state.restartLsn === null) await this.#makeAnew(replication);
    else this.#kept = state;
    this.#wasThere = true;
  }

  /** From where on the server keeps WAL, as far as that can be known. */
  keptFrom(): Promise<{ readonly lsn: Lsn; readonly timeline: number | null } | undefined> {
    const { restartLsn = null, restartTimeline = null } = this.#kept ?? {};
    return Promise.resolve(restartLsn === null ? undefined : { lsn: restartLsn, timeline: restartTimeline });
  }

  async #read(replication: Replication): Promise<SlotState | null | undefined> {
    const state = await replication.readSlot(this.#options.name);
    return state === 'unknown' ? await this.#options.askSql() : state;
  }

  async #make(replication: Replication, lostBecause: string | undefined): Promise<void> {
    const { name: slot, server, create } = this.#options;
    if (!create) throw failure('replication_slot_missing', { slot, server });
    await replication.createSlot(slot);
    this.#kept = (await this.#read(replication)) ?? undefined;
    const lsn = this.#kept?.restartLsn ?? undefined;
    if (lostBecause === undefined) this.#context.observer.told({ state: 'slot_made', lsn });
    else {
      const error = failure('wal_slot_lost', { slot, server, reason: lostBecause });
      this.#context.observer.told({ state: 'slot_lost', error });
    }
  }

  /** The server does not keep WAL for it (any more): such a slot is good for nothing. */
  async #makeAnew(replication: Replication): Promise<void> {
    await replication.dropSlot(this.#options.name);
    await this.#make(replication, 'the server keeps no WAL for it');
  }

  /** For servers whose slots cannot be seen. */
  async #makeUnlessThere(replication: Replication): Promise<void> {
    if (!this.#options.create) return;
    try {
      await this.#make(replication, undefined);
    } catch (error) {
      if (!isFailure(error, 'replication_slot_exists')) throw error;
    }
  }
}
