import { defaultCompression } from '../../pipeline/codec.ts';
import type { LiveSet, PackUse } from '../../repository/gc/live-set.ts';
import { repack } from '../../repository/gc/repack.ts';
import type { IndexCache } from '../../repository/index-cache.ts';
import type { Repository } from '../../repository/repository.ts';
import type { HeldTurn, PruneOptions } from './options.ts';
import type { PackCount } from './report.ts';

/** Packs smaller than a 16th of the usual size are joined, once there are so many of them. */
const smallBytes = 1024 * 1024;
const smallPacks = 32;
/** Of a pack in which less than this share is unneeded nothing is gained. */
const leastWaste = 0.05;

/**
 * Packs to take apart, by id: those with the most waste, until what is left of it is little enough; and many small ones.
 * None that was stored at `settledMs` or later, by the storage's clock.
 */
export function packsToTakeApart(live: LiveSet, settledMs: number, maxUnused: number): Map<string, PackUse> {
  const { bytes, deadBytes, unusedBytes } = live.totals();
  const neededBytes = bytes - deadBytes - unusedBytes;
  let wasteBytes = unusedBytes;
  const chosen = new Map<string, PackUse>();
  const small: PackUse[] = [];
  for (const pack of live.sparse(leastWaste, smallBytes, settledMs)) {
    if (pack.sizeBytes < smallBytes) small.push(pack);
    else if (wasteBytes > neededBytes * maxUnused) {
      chosen.set(pack.id, pack);
      wasteBytes -= pack.deadBytes;
    }
  }
  // One without waste is as it would be made anew: it would be taken apart by every prune, for ever.
  const isTooMuch = wasteBytes > neededBytes * maxUnused;
  for (const pack of small)
    if (small.length >= smallPacks || (isTooMuch && pack.deadBytes > 0)) chosen.set(pack.id, pack);
  return chosen;
}

/**
 * Stores what is needed of these packs anew. Resolves with the bytes stored, when all of it is durable; a pack that is
 * damaged cannot be taken apart and goes out of the map.
 */
export async function takeApart(
  repository: Repository,
  cache: IndexCache,
  live: LiveSet,
  packs: Map<string, PackUse>,
  nowMs: number,
  { signal, progress, jobs, graceMs, compression = defaultCompression, log }: PruneOptions,
  turn: HeldTurn,
): Promise<number> {
  if (packs.size === 0) return 0;
  progress.phase('taking packs apart that hold little that is needed');
  progress.total(sumOf(packs.values()).bytes);
  await using session = await repository.beginSession({ signal, jobs, compression });
  // What is in them counts as not there: so it is stored.
  cache.doom([...packs.keys()], nowMs, graceMs);
  const next = [...packs.keys()].values();
  const lane = async (): Promise<void> => {
    for (const id of next) {
      await turn.stay();
      const isDone = await repack(session, repository.storage, live, id, signal);
      progress.advance(packs.get(id)?.sizeBytes ?? 0);
      if (isDone) continue;
      log.warn('a pack that is damaged is not taken apart', { pack: id });
      packs.delete(id);
    }
  };
  await Promise.all(Array.from({ length: jobs }, lane));
  const { bytesAdded } = await session.settle();
  return bytesAdded;
}

export function sumOf(packs: Iterable<PackUse>): PackCount {
  const sum = { packs: 0, bytes: 0 };
  for (const { sizeBytes } of packs) {
    sum.packs += 1;
    sum.bytes += sizeBytes;
  }
  return sum;
}
