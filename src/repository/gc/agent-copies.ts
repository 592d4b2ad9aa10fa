import { failure } from '../../kernel/errors/failure.ts';
import { isAgentSalt } from '../../pipeline/seal.ts';
import { footerEntryBytes, readEntries } from '../../pipeline/pack-format.ts';
import { shortId } from '../blob-reader.ts';
import { encodeIndex, type IndexedPack } from '../index-object.ts';
import { indexObject, packObject } from '../layout.ts';
import type { Repository } from '../repository.ts';
import type { LiveSet } from './live-set.ts';
import { groupsOfRows } from './repack.ts';

/** Rows of a new index at most. */
const rowsAtOnce = 65_536;

/**
 * Before a copy of a needed blob goes and the other one is in a pack that an agent sealed, that one is read and checked: an
 * agent that was taken over may have said of blobs it knows that they are there. `prune_unreadable` when they are not; they
 * count as damaged then, so that the next prune keeps the good copy.
 */
export async function assertAgentCopies(
  repository: Repository,
  live: LiveSet,
  packId: string,
  signal: AbortSignal,
): Promise<void> {
  const { salt, rows } = live.blobsAtHome(packId, 'marked');
  if (!isAgentSalt(salt)) return;
  const cache = await repository.cache(signal);
  const name = packObject(packId);
  for (const group of groupsOfRows(rows)) {
    const { offset, length } = group;
    const bytes = await repository.storage.get(name, { offset, length, signal });
    const asked = { salt, bytesOffset: offset, bytes, rows: Buffer.concat(group.rows) };
    const ids = Array.from(readEntries(asked.rows), ({ id }) => id);
    const { damages } = await repository.workers().decode(asked);
    const bad = ids.filter((_id, index) => damages[index] !== null);
    for (const id of bad) cache.markDamaged(id, packId);
    const [first] = bad;
    if (first === undefined) continue;
    const reason = `chunk ${shortId(first)} is not what ${name} says, which an agent has stored`;
    throw failure('prune_unreadable', { what: 'a backup', reason });
  }
}

/**
 * Writes indexes for packs of agents that none tells of, for an agent writes none that anybody would believe: so they are
 * read from the packs once, and not by each machine.
 */
export async function indexAgentPacks(repository: Repository, signal: AbortSignal): Promise<void> {
  const cache = await repository.cache(signal);
  let packs: IndexedPack[] = [];
  let bytesOfRows = 0;
  const flush = async (): Promise<void> => {
    const group = packs;
    packs = [];
    bytesOfRows = 0;
    if (group.length === 0) return;
    const { id, bytes } = encodeIndex(repository.pipelineKeys, group);
    await repository.storage.put(indexObject(id), bytes, { signal });
    cache.transaction(() => cache.add(indexObject(id), group));
  };
  for (const id of cache.untoldOfAgents()) {
    const pack = cache.packContents(id);
    if (pack === undefined) continue;
    packs.push(pack);
    bytesOfRows += pack.entries.length;
    if (bytesOfRows >= rowsAtOnce * footerEntryBytes) await flush();
  }
  await flush();
}
