import { footerEntryBytes } from '../../pipeline/pack-format.ts';
import { encodeIndex, type IndexedPack } from '../index-object.ts';
import { indexObject } from '../layout.ts';
import type { Repository } from '../repository.ts';

/** Rows of a new index at most. */
const rowsAtOnce = 65_536;

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
