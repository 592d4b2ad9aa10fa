import type { Manifest } from '../../contract/manifest.ts';
import type { StreamRef } from '../../contract/stream.ts';
import { failure } from '../../kernel/errors/failure.ts';
import { shortId } from '../../repository/blob-reader.ts';
import type { IndexCache } from '../../repository/index-cache.ts';
import type { Repository } from '../../repository/repository.ts';
import { walkStream } from '../../repository/walk.ts';

/** Ids asked for together. */
const atOnce = 4096;

export interface LackingContext {
  readonly from: Repository;
  /** For each id 1 when the copy has it, and then it is relied on. */
  readonly rely: (ids: Uint8Array) => Uint8Array;
  /** The index of the copy: it keeps, over several backups, what was looked at before. */
  readonly visited: Pick<IndexCache, 'visit' | 'listedBytes'>;
  /** Packs here, by id, that cannot be copied, and why: another one that has the same is taken. */
  readonly unusable: ReadonlyMap<string, Error>;
  /** Where packs are about to be removed from the copy. */
  readonly anew?: StoreAnew | undefined;
  readonly signal: AbortSignal;
}

export interface StoreAnew {
  /** The packs, by id: what they hold cannot be relied on there, nor can they be copied once more. */
  readonly doomed: ReadonlySet<string>;
  /** Stores blobs in new packs of the copy. */
  readonly store: (ids: readonly Uint8Array[]) => Promise<void>;
}

/**
 * The packs, by hex id and size, that a copy lacks of a backup. What it has already, it relies on from now on. Throws
 * `blob_missing`, why packs are unusable, and what reading maps and lists rejects with, when the backup is not whole where
 * it comes from.
 */
export async function packsLacking(
  context: LackingContext,
  manifest: Manifest,
): Promise<ReadonlyMap<string, number>> {
  const { from, visited, signal } = context;
  const reader = await from.reader(signal);
  const choice = new PackChoice(context, await from.cache(signal));
  let waiting: Uint8Array[] = [];
  const needs = (id: Uint8Array): void => void waiting.push(Uint8Array.from(id));
  const ask = async (): Promise<void> => {
    const ids = waiting;
    waiting = [];
    await choice.add(ids);
  };
  const visitor = {
    node: (id: Uint8Array): boolean => {
      if (!visited.visit(id)) return false;
      needs(id);
      return true;
    },
    unreadable: (_id: Uint8Array, error: Error): void => {
      throw error;
    },
  };
  const walk = async (stream: StreamRef): Promise<void> => {
    for await (const chunks of walkStream(reader, stream, visitor, signal)) {
      for (const id of chunks) if (visited.visit(id)) needs(id);
      if (waiting.length >= atOnce) await ask();
    }
  };
  await walk(manifest.entries.stream);
  for await (const { stream } of from.entries(manifest, { signal })) if (stream !== null) await walk(stream);
  await ask();
  return choice.packs;
}

/** Chooses the packs that a copy gets. */
class PackChoice {
  readonly packs = new Map<string, number>();
  readonly #context: LackingContext;
  readonly #cache: IndexCache;

  constructor(context: LackingContext, cache: IndexCache) {
    this.#context = context;
    this.#cache = cache;
  }

  async add(ids: readonly Uint8Array[]): Promise<void> {
    const { rely, anew } = this.#context;
    if (ids.length === 0) return;
    const answers = rely(Buffer.concat(ids));
    const again = ids.filter((id, index) => answers[index] !== 1 && !this.#choose(id));
    if (again.length > 0) await anew?.store(again);
  }

  /** False when it is to be stored anew. */
  #choose(id: Uint8Array): boolean {
    const { visited, unusable, anew } = this.#context;
    const all = this.#cache.copiesOf(id);
    const [any] = all;
    if (any === undefined) throw failure('blob_missing', { blob: shortId(id) });
    const copies = all.filter((pack) => !unusable.has(pack.id) && anew?.doomed.has(pack.id) !== true);
    const [first] = copies;
    if (anew !== undefined && (first === undefined || first.isOfAgent)) return false;
    if (first === undefined) throw unusable.get(any.id) ?? failure('blob_missing', { blob: shortId(id) });
    // Of packs that agents sealed nobody knows which one is true to its word: the copy gets all that say so.
    const wanted = first.isOfAgent ? copies : [first];
    for (const pack of wanted)
      if (visited.listedBytes(pack.id) !== pack.sizeBytes) this.packs.set(pack.id, pack.sizeBytes);
    return true;
  }
}
