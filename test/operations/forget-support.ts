import type { Manifest } from '../../src/contract/manifest.ts';
import { systemClock } from '../../src/kernel/clock.ts';
import { silentLogger } from '../../src/kernel/log.ts';
import { forgetBackups, type ForgetOptions, type Forgotten } from '../../src/operations/forget.ts';
import { undoForget } from '../../src/operations/forget-undo.ts';
import { verifyRepository } from '../../src/operations/verify.ts';
import { trashed } from '../../src/repository/history/trash.ts';
import type { Repository } from '../../src/repository/repository.ts';
import { MemoryStorage } from '../../src/storage/memory/memory-storage.ts';
import type { Storage } from '../../src/storage/port.ts';
import { backUp, bytesSource, makeRepository, silentProgress } from '../../testing/repository.ts';

export const context = {
  signal: new AbortController().signal,
  log: silentLogger,
  progress: silentProgress,
} as const;

/** Storage with backups that share a stream, and have one of their own each. */
export async function storageWith(count: number): Promise<MemoryStorage> {
  const storage = new MemoryStorage(systemClock);
  await using repository = await makeRepository(storage, { encrypted: false });
  for (let made = 0; made < count; made += 1)
    await backUp(
      repository,
      bytesSource({ shared: Buffer.from('the same in all'), own: Buffer.from(`only in ${made}`) }),
    );
  return storage;
}

export async function copyOf(storage: Storage): Promise<MemoryStorage> {
  const copy = new MemoryStorage(systemClock);
  for await (const { name } of storage.list('')) await copy.put(name, await storage.get(name));
  return copy;
}

export async function objects(storage: Storage, prefix: string): Promise<Map<string, Buffer>> {
  const found = new Map<string, Buffer>();
  for await (const { name } of storage.list(prefix)) found.set(name, Buffer.from(await storage.get(name)));
  return found;
}

/** Forgets the backups at these places of the list. */
export async function forgetAt(
  repository: Repository,
  places: readonly number[],
  more: Partial<ForgetOptions> & { readonly source?: string | null } = {},
): Promise<Forgotten> {
  const names = await repository.names();
  const going = places.map((place) => {
    const name = names[place];
    if (name === undefined) throw new Error(`there is no backup ${place}`);
    return { name, source: more.source === undefined ? 'bytes' : more.source, why: ['not among the last 1'] };
  });
  const { clock = systemClock, reason = 'test', mustStay = [] } = more;
  return await forgetBackups(repository, going, {
    ...context,
    clock,
    host: 'testhost',
    user: 'tester',
    reason,
    mustStay,
  });
}

export async function undo(repository: Repository, id: string, dryRun = false): Promise<Manifest> {
  const name = (await trashed(repository)).find((one) => one.id === id);
  if (name === undefined) throw new Error(`${id} is not in the trash`);
  return await undoForget(repository, name, { ...context, dryRun });
}

/** Codes of what verify finds. */
export async function problems(repository: Repository): Promise<readonly string[]> {
  const report = await verifyRepository(repository, { ...context, jobs: 1, readData: false });
  return report.problems.map(({ code }) => code);
}
