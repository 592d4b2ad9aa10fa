import { failure, isFailure } from '../../kernel/errors/failure.ts';
import { readEntries } from '../../pipeline/pack-format.ts';
import { packObject } from '../layout.ts';
import { groupsOfRows } from './repack.ts';
import { inLanes, type SweepContext } from './sweep.ts';

/** Each reads up to a pack at once. */
const readersAtOnce = 4;

/**
 * Before a copy of a needed blob goes, the one that stays is read and checked by its id: another machine may know of a damage
 * that this one does not, and an agent that was taken over may have said of blobs it knows that they are in its pack. What is
 * not good there counts as damaged from then on, and another copy is at home instead, so that its pack stays.
 * `leaving` are lots of packs to be removed, as far as nothing in them is needed. `prune_incomplete` when a pack is gone that
 * was listed.
 */
export async function settleHomes(
  context: SweepContext,
  leaving: () => AsyncIterable<readonly string[]>,
): Promise<void> {
  const { live, log } = context;
  for (;;) {
    live.leaveNone();
    for await (const packIds of leaving()) live.leave(packIds);
    let bad = 0;
    const check = async (packId: string): Promise<void> => {
      await context.stay();
      const found = await damagedAtHome(context, packId);
      bad += found;
      if (found > 0)
        log.warn('a pack is damaged: what other packs have of it stays', { pack: packId, chunks: found });
    };
    await inLanes(live.homesOfLeaving(), check, readersAtOnce);
    if (bad === 0) return;
    // Each of them has one copy less to be at home in, so this ends.
    await live.settle();
  }
}

/** How many blobs at home in a pack are found not good there, and were not known as such, of those that a pack that leaves has, too. */
async function damagedAtHome({ repository, live, signal }: SweepContext, packId: string): Promise<number> {
  const cache = await repository.cache(signal);
  const { salt, rows } = live.blobsAtHome(packId, 'leaving');
  let found = 0;
  for (const group of groupsOfRows(rows)) {
    const entries = Buffer.concat(group.rows);
    const bytes = await readOf(repository.storage, packId, group, signal);
    const request = { salt, bytesOffset: group.offset, bytes, rows: entries };
    const damages =
      bytes.length < group.length ? undefined : (await repository.workers().decode(request)).damages;
    for (const [index, { id }] of Array.from(readEntries(entries)).entries()) {
      if (damages !== undefined && damages[index] === null) continue;
      if (cache.markDamaged(id, packId)) found += 1;
    }
  }
  return found;
}

/** Nothing of what the storage itself says is damaged. */
async function readOf(
  storage: SweepContext['repository']['storage'],
  packId: string,
  { offset, length }: { readonly offset: number; readonly length: number },
  signal: AbortSignal,
): Promise<Uint8Array> {
  const name = packObject(packId);
  try {
    return await storage.get(name, { offset, length, signal });
  } catch (error) {
    // Asked by name: a listing may show what is gone.
    if (isFailure(error, 'object_missing'))
      throw failure('prune_incomplete', { count: 1, example: name }, { cause: error });
    if (isFailure(error, 'object_damaged')) return new Uint8Array(0);
    throw error;
  }
}
