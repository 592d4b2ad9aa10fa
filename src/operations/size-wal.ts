import { isFailure } from '../kernel/errors/failure.ts';
import { walPrefix } from '../repository/layout.ts';
import type { Repository } from '../repository/repository.ts';

/** What WAL takes in a repository. */
export interface WalSizes {
  readonly total: number;
  /** By source; of archives whose source can be told. */
  readonly bySource: ReadonlyMap<string, number>;
}

const archiveOf = /^wal\/(?:about\/)?([0-9a-f]{32})(?:\/|$)/;

/** From one listing of all WAL; of each archive only what it is of is read. */
export async function walSizes(repository: Repository, signal: AbortSignal): Promise<WalSizes> {
  let total = 0;
  const byArchive = new Map<string, number>();
  for await (const { name, sizeBytes } of repository.storage.list(walPrefix, { signal })) {
    total += sizeBytes;
    const id = archiveOf.exec(name)?.[1];
    if (id !== undefined) byArchive.set(id, (byArchive.get(id) ?? 0) + sizeBytes);
  }
  const bySource = new Map<string, number>();
  for (const [id, bytes] of byArchive) {
    const source = await sourceOf(repository, id, signal);
    if (source !== undefined) bySource.set(source, (bySource.get(source) ?? 0) + bytes);
  }
  return { total, bySource };
}

async function sourceOf(
  repository: Repository,
  id: string,
  signal: AbortSignal,
): Promise<string | undefined> {
  try {
    return (await repository.findWalArchive(id, { signal }))?.info.source;
  } catch (error) {
    // `verify` names it.
    if (!isFailure(error, 'object_damaged')) throw error;
    return undefined;
  }
}
