import { randomBytes } from 'node:crypto';
import { z } from 'zod';
import type { Clock } from '../../kernel/clock.ts';
import { failure, isFailure } from '../../kernel/errors/failure.ts';
import type { PipelineKeys } from '../../pipeline/keys.ts';
import type { ObjectInfo, Storage } from '../../storage/port.ts';
import { turnsPrefix } from '../layout.ts';
import { putRecord, readRecord } from '../records.ts';
import { storageNow } from './storage-clock.ts';

const turnSchema = z.strictObject({
  schema: z.literal(1),
  host: z.string(),
  pid: z.number().int(),
  began_at_ms: z.number().int(),
  token: z.string().regex(/^[0-9a-f]{32}$/),
});

export interface TurnOptions {
  readonly storage: Storage;
  readonly keys: PipelineKeys;
  readonly clock: Pick<Clock, 'now' | 'monotonicNs'>;
  readonly host: string;
  readonly pid: number;
  /** Whether a process of this machine is still there. */
  readonly isAlive: (pid: number) => boolean;
  /** A turn that has not been renewed for so long, by the storage's clock, counts as left. */
  readonly lastsMs: number;
  readonly signal?: AbortSignal | undefined;
}

const turnPattern = /^gc\/turns\/(\d{10})$/;
const turnName = (number: number): string => `${turnsPrefix}${String(number).padStart(10, '0')}`;

/**
 * The turn to remove things from a repository: prunes go one at a time, backups do not ask. Turns are numbered objects,
 * and the highest has it. A turn that was left is passed over by a higher one, so that a prune which wakes up after a
 * long sleep finds out ({@link Turn.assertHeld}) before it removes anything more.
 */
export class Turn implements AsyncDisposable {
  readonly #options: TurnOptions;
  readonly #token = randomBytes(16).toString('hex');
  #number = 0;
  #renewedNs = 0n;
  #over = false;
  #last: Promise<void> = Promise.resolve();

  private constructor(options: TurnOptions) {
    this.#options = options;
  }

  /** `prune_busy` when somebody else has it. */
  static async take(options: TurnOptions): Promise<Turn> {
    const { storage, signal } = options;
    const turn = new Turn(options);
    const others = await listTurns(storage, signal);
    // Looked at before this one is there, for a higher turn ends the others.
    if (others.length > 0) {
      const nowMs = await storageNow(storage, signal);
      for (const other of others) await turn.#refuseLiving(other, nowMs);
    }
    turn.#number = (others.at(-1)?.number ?? 0) + 1;
    await turn.#put().catch((error: unknown) => {
      if (isFailure(error, 'object_exists')) throw turn.#busy('it began at the same moment');
      throw error;
    });
    for (const { name } of others) await storage.delete(name, { signal });
    return turn;
  }

  /** Rejects with `prune_turn_lost` when another one has begun since; says now and then that this one is alive. */
  async assertHeld(): Promise<void> {
    // One look at a time: the number changes under them.
    const look = this.#last.then(() => this.#look());
    this.#last = look.catch(() => {}); // Whoever asked is told.
    await look;
  }

  async #look(): Promise<void> {
    const { storage, keys, signal } = this.#options;
    const held = await readRecord(storage, keys, turnName(this.#number), turnSchema, { signal }).catch(
      (error: unknown) => {
        if (isFailure(error, 'object_missing')) return undefined;
        throw error;
      },
    );
    const turns = await listTurns(storage, signal);
    if (held?.token !== this.#token || turns.some(({ number }) => number > this.#number)) {
      this.#over = held?.token !== this.#token;
      throw failure('prune_turn_lost', { location: storage.location });
    }
    if (this.#isDue()) await this.#renew();
  }

  /** To be called often during long work: now and then as {@link assertHeld}, so that nobody takes this one for gone. */
  async stay(): Promise<void> {
    if (this.#isDue()) await this.assertHeld();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#over) return;
    this.#over = true;
    try {
      await this.#options.storage.delete(turnName(this.#number));
    } catch (error) {
      // It is free again by itself after a while, and what the prune itself has to say matters more.
      if (!isFailure(error)) throw error;
    }
  }

  #isDue(): boolean {
    const { clock, lastsMs } = this.#options;
    return Number((clock.monotonicNs() - this.#renewedNs) / 1_000_000n) > lastsMs / 4;
  }

  async #renew(): Promise<void> {
    const before = this.#number;
    this.#number += 1;
    try {
      await this.#put();
    } catch (error) {
      this.#number = before;
      if (!isFailure(error, 'object_exists')) throw error;
      throw failure('prune_turn_lost', { location: this.#options.storage.location }, { cause: error });
    }
    await this.#options.storage.delete(turnName(before));
  }

  async #put(): Promise<void> {
    const { storage, keys, clock, host, pid, signal } = this.#options;
    const contents = { schema: 1, host, pid, began_at_ms: clock.now(), token: this.#token };
    await putRecord(storage, keys, turnName(this.#number), contents, { signal });
    this.#renewedNs = clock.monotonicNs();
  }

  async #refuseLiving(other: ListedTurn, nowMs: number): Promise<void> {
    const { storage, keys, host, isAlive, lastsMs, signal } = this.#options;
    if (nowMs - other.modifiedAtMs > lastsMs) return;
    const holder = await readRecord(storage, keys, other.name, turnSchema, { signal }).catch(
      (error: unknown) => {
        // Gone: it has just ended. Damaged: whoever it is may be alive.
        if (isFailure(error, 'object_missing')) return undefined;
        if (isFailure(error, 'object_damaged')) throw this.#busy('it cannot be said whose');
        throw error;
      },
    );
    if (holder === undefined || (holder.host === host && !isAlive(holder.pid))) return;
    throw this.#busy(`process ${holder.pid} on ${holder.host}`);
  }

  #busy(holder: string): Error {
    const { storage, lastsMs } = this.#options;
    const minutes = Math.ceil(lastsMs / 60_000);
    return failure('prune_busy', { location: storage.location, holder, minutes });
  }
}

interface ListedTurn extends ObjectInfo {
  readonly number: number;
}

async function listTurns(storage: Storage, signal?: AbortSignal): Promise<ListedTurn[]> {
  const turns: ListedTurn[] = [];
  for await (const info of storage.list(turnsPrefix, { signal })) {
    const number = turnPattern.exec(info.name)?.[1];
    if (number !== undefined) turns.push({ ...info, number: Number(number) });
  }
  return turns;
}
