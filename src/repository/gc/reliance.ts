import { randomBytes } from 'node:crypto';
import type { Clock } from '../../kernel/clock.ts';
import { failure, isFailure } from '../../kernel/errors/failure.ts';
import type { PipelineKeys } from '../../pipeline/keys.ts';
import type { Storage } from '../../storage/port.ts';
import type { IndexCache } from '../index-cache.ts';
import { listPacks } from '../index-sync.ts';
import { packObject } from '../layout.ts';
import { listMarks, readMark } from './marks.ts';
import { announce } from './needs.ts';

export interface RelianceParts {
  readonly storage: Storage;
  readonly keys: PipelineKeys;
  readonly cache: IndexCache;
  readonly clock: Pick<Clock, 'now' | 'monotonicNs'>;
  readonly host: string;
}

/** A listing that lags behind lacks a few packs. So many are asked for by name. */
const askedByName = 1000;

/** How often a session looks for new marks while it runs. A grace is much longer. */
const lookEveryMs = 3_600_000;

/**
 * What keeps garbage collection from a running session, without any lock (docs/format.md, "Removing"). What is marked
 * when the session begins counts as not there: it is stored anew. What is marked later, and the session relies on
 * already, it announces: then it stays. Who comes too late to announce, because the machine slept, fails.
 */
export class Reliance {
  readonly #parts: RelianceParts;
  readonly #session = randomBytes(16).toString('hex');
  readonly #known = new Set<string>();
  readonly #announced = new Set<string>();
  #announcements = 0;
  #lookedAtMs = 0;
  #looked = 0n;
  #announcedAtMs = 0;
  /** The shortest grace of all marks that were seen. */
  #graceMs = Number.POSITIVE_INFINITY;

  constructor(parts: RelianceParts) {
    this.#parts = parts;
  }

  /** Reads the marks there are. To be called after packs were listed, and before anything is relied on. */
  async begin(signal?: AbortSignal): Promise<void> {
    await this.#look(signal);
  }

  /** To be called often: costs nothing but when it is time to look again. */
  async tick(signal?: AbortSignal): Promise<void> {
    if (this.isLate()) await this.confirm(signal);
  }

  /** Everything this session relies on will stay for half a grace at least, or this rejects: `pack_doomed`. */
  async confirm(signal?: AbortSignal): Promise<void> {
    await this.#look(signal);
    const mine = this.#parts.cache.reliedOnDoomed();
    const fresh = mine.filter(({ id }) => !this.#announced.has(id));
    const stale =
      this.#announced.size > 0 && this.#parts.clock.now() - this.#announcedAtMs > this.#graceMs / 4;
    if (fresh.length === 0 && !stale) return;
    const { storage, keys, host, clock } = this.#parts;
    const contents = { host, packs: [...this.#announced, ...fresh.map(({ id }) => id)] };
    const announcedAtMs = clock.now();
    // A new name each time: of one that failed nobody knows whether it is there.
    this.#announcements += 1;
    const nowMs = await announce(storage, keys, this.#session, this.#announcements, contents, signal);
    for (const { id } of fresh) this.#announced.add(id);
    this.#announcedAtMs = announcedAtMs;
    const late = fresh.filter(({ markedAtMs, graceMs }) => nowMs - markedAtMs > graceMs / 2);
    const [first] = late;
    if (first !== undefined) throw failure('pack_doomed', { count: late.length, name: packObject(first.id) });
  }

  /** As {@link confirm}, and all that is relied on is listed: `pack_lost` when it is not. */
  async settle(signal?: AbortSignal): Promise<void> {
    await this.confirm(signal);
    await this.assertListed(signal);
  }

  /**
   * Lists what is there, and asks by name for what the listing lacks, which may lag behind. A backup that refers to packs
   * somebody removed meanwhile must not be called one: `pack_lost`.
   */
  async assertListed(signal?: AbortSignal): Promise<void> {
    const { storage, cache } = this.#parts;
    await listPacks(storage, cache, signal);
    const missing = cache.missingDependencies();
    for (const [index, { id }] of missing.entries())
      if (index >= askedByName || !(await isThere(storage, packObject(id), signal)))
        throw failure('pack_lost', { count: missing.length - index, name: packObject(id) });
  }

  /**
   * For each id 1 when a listed pack has it (2: only one that an agent sealed), a marked one too, which is announced by the next {@link confirm}; relied on
   * from now on.
   */
  rely(ids: Uint8Array): Uint8Array<ArrayBuffer> {
    return this.#parts.cache.rely(ids);
  }

  /** Whether it is time to look again: what {@link confirm} said then may not hold for ever. */
  isLate(): boolean {
    return this.#elapsedMs() >= Math.min(lookEveryMs, this.#graceMs / 8);
  }

  async #look(signal?: AbortSignal): Promise<void> {
    const { storage, keys, cache, clock } = this.#parts;
    this.#lookedAtMs = clock.now();
    this.#looked = clock.monotonicNs();
    for await (const listed of listMarks(storage, signal)) {
      if (this.#known.has(listed.name)) continue;
      const mark = await readMark(storage, keys, listed, signal);
      this.#known.add(listed.name);
      if (mark === undefined) continue;
      const { packs, grace_ms: graceMs } = mark.contents;
      this.#graceMs = Math.min(this.#graceMs, graceMs);
      cache.doom(packs, mark.storedAtMs, graceMs);
    }
  }

  /** A machine that slept has only one of these two. */
  #elapsedMs(): number {
    const { clock } = this.#parts;
    const monotonicMs = Number((clock.monotonicNs() - this.#looked) / 1_000_000n);
    return Math.max(clock.now() - this.#lookedAtMs, monotonicMs);
  }
}

async function isThere(storage: Storage, name: string, signal: AbortSignal | undefined): Promise<boolean> {
  try {
    await storage.stat(name, { signal });
    return true;
  } catch (error) {
    if (isFailure(error, 'object_missing')) return false;
    throw error;
  }
}
