import { footerEntryBytes } from '../../pipeline/pack-format.ts';
import { isFailure } from '../../kernel/errors/failure.ts';
import { decodeIndex, encodeIndex, type IndexedPack } from '../index-object.ts';
import { indexObject, indexPrefix } from '../layout.ts';
import type { Repository } from '../repository.ts';

/** Rows of a new index at most. */
const rowsAtOnce = 65_536;

/**
 * Removes indexes that tell of packs which are gone, after what they tell of others was written anew; and joins small
 * ones. Resolves with how many were removed. Indexes are caches: whoever misses one reads the packs themselves.
 */
export async function compactIndexes(
  repository: Repository,
  assertHeld: () => Promise<void>,
  signal: AbortSignal,
): Promise<number> {
  const { storage } = repository;
  const cache = await repository.cache(signal);
  const gathered = new Gathered(repository, assertHeld, signal);
  for await (const { name } of storage.list(indexPrefix, { signal })) {
    const packs = await readIndex(repository, name, signal);
    if (packs === undefined) continue;
    const present = packs.filter(({ id, sizeBytes }) => cache.listedBytes(id) === sizeBytes);
    const rows = present.reduce((sum, pack) => sum + rowsOf(pack), 0);
    if (present.length === packs.length && rows >= rowsAtOnce / 8) continue;
    await gathered.add(name, present, rows < packs.reduce((sum, pack) => sum + rowsOf(pack), 0) / 2);
  }
  return await gathered.flush();
}

class Gathered {
  readonly #repository: Repository;
  readonly #assertHeld: () => Promise<void>;
  readonly #signal: AbortSignal;
  #names: string[] = [];
  #packs: IndexedPack[] = [];
  #rows = 0;
  #worthIt = false;
  #removed = 0;

  constructor(repository: Repository, assertHeld: () => Promise<void>, signal: AbortSignal) {
    this.#repository = repository;
    this.#assertHeld = assertHeld;
    this.#signal = signal;
  }

  /** `mostGone`: of what this index tells, more is gone than there. */
  async add(name: string, packs: readonly IndexedPack[], mostGone: boolean): Promise<void> {
    this.#names.push(name);
    this.#worthIt ||= mostGone || this.#names.length > 1;
    const known = new Set(this.#packs.map(({ id }) => id));
    for (const pack of packs) {
      if (known.has(pack.id)) continue;
      // The entries are a part of a large buffer that may go.
      this.#packs.push({ ...pack, entries: Uint8Array.from(pack.entries) });
      this.#rows += rowsOf(pack);
    }
    if (this.#rows >= rowsAtOnce) await this.flush();
  }

  /** Writes what was gathered, then removes where it is from. Resolves with the number removed in all. */
  async flush(): Promise<number> {
    const names = this.#names;
    const packs = this.#packs;
    this.#names = [];
    this.#packs = [];
    this.#rows = 0;
    // One small index by itself is as good as it can be.
    const isWorthIt = this.#worthIt;
    this.#worthIt = false;
    if (!isWorthIt) return this.#removed;
    const { storage, pipelineKeys } = this.#repository;
    const signal = this.#signal;
    if (packs.length > 0) {
      const { id, bytes } = encodeIndex(pipelineKeys, packs);
      await storage.put(indexObject(id), bytes, { signal });
    }
    await this.#assertHeld();
    for (const name of names) await storage.delete(name, { signal });
    this.#removed += names.length;
    return this.#removed;
  }
}

/** Undefined when it is damaged or gone: then it stays for `verify` to name. */
async function readIndex(
  { storage, pipelineKeys }: Repository,
  name: string,
  signal: AbortSignal,
): Promise<IndexedPack[] | undefined> {
  try {
    return decodeIndex(pipelineKeys, name, await storage.get(name, { signal }));
  } catch (error) {
    if (isFailure(error, 'object_damaged') || isFailure(error, 'object_missing')) return undefined;
    throw error;
  }
}

const rowsOf = (pack: IndexedPack): number => pack.entries.length / footerEntryBytes;
