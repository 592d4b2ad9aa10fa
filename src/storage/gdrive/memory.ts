import type { Clock } from '../../kernel/clock.ts';
import type { DriveFile } from './drive.ts';

/** By then searches show what was made or removed. */
const settledNs = 10n * 60n * 1_000_000_000n;
/** Of each sort; the oldest are forgotten first. */
const mostRemembered = 20_000;

/**
 * What this process has made, removed and found in the last minutes. Drive's searches may lag behind its files; its
 * answers about a single id do not.
 */
export class RecentFiles {
  readonly #clock: Pick<Clock, 'monotonicNs'>;
  /** By name. */
  readonly #made = new Forgetful<string, DriveFile>();
  /** Ids. */
  readonly #removed = new Forgetful<string, true>();
  /** By name: ids of uploads whose outcome is not known. */
  readonly #doubtful = new Forgetful<string, readonly string[]>();
  /** By name: which file is the object. */
  readonly #found = new Forgetful<string, DriveFile>();

  constructor(clock: Pick<Clock, 'monotonicNs'>) {
    this.#clock = clock;
  }

  made(file: DriveFile): void {
    this.#made.set(file.name, file, this.#now());
  }

  removed({ id, name }: DriveFile): void {
    if (this.madeAs(name)?.id === id) this.#made.delete(name);
    this.#found.delete(name);
    this.#removed.set(id, true, this.#now());
  }

  doubtful(name: string, id: string): void {
    this.#doubtful.set(name, [...this.doubtfulOf(name), id], this.#now());
  }

  found(name: string, file: DriveFile): void {
    this.#found.set(name, file, this.#now());
  }

  lost(name: string): void {
    this.#found.delete(name);
  }

  madeAs(name: string): DriveFile | undefined {
    return this.#made.get(name, this.#now());
  }

  foundAs(name: string): DriveFile | undefined {
    return this.#found.get(name, this.#now());
  }

  doubtfulOf(name: string): readonly string[] {
    return this.#doubtful.get(name, this.#now()) ?? [];
  }

  wasRemoved(id: string): boolean {
    return this.#removed.get(id, this.#now()) !== undefined;
  }

  /** Files made here that a search may not show yet. */
  *unsettled(): Generator<DriveFile> {
    for (const [, file] of this.#made.entries(this.#now())) yield file;
  }

  /** Ids that may have become files called so, with their names. */
  *doubts(): Generator<readonly [name: string, ids: readonly string[]]> {
    yield* this.#doubtful.entries(this.#now());
  }

  #now(): bigint {
    return this.#clock.monotonicNs();
  }
}

/** A map whose entries are gone after a while, and of which the oldest go when there are too many. */
class Forgetful<K, V> {
  readonly #entries = new Map<K, { readonly value: V; readonly sinceNs: bigint }>();

  set(key: K, value: V, nowNs: bigint): void {
    this.#entries.delete(key);
    this.#entries.set(key, { value, sinceNs: nowNs });
    const [oldest] = this.#entries.keys();
    if (this.#entries.size > mostRemembered && oldest !== undefined) this.#entries.delete(oldest);
  }

  get(key: K, nowNs: bigint): V | undefined {
    const entry = this.#entries.get(key);
    return entry === undefined || nowNs - entry.sinceNs > settledNs ? undefined : entry.value;
  }

  delete(key: K): void {
    this.#entries.delete(key);
  }

  *entries(nowNs: bigint): Generator<readonly [K, V]> {
    for (const [key, { value, sinceNs }] of this.#entries) {
      if (nowNs - sinceNs > settledNs) this.#entries.delete(key);
      else yield [key, value];
    }
  }
}
