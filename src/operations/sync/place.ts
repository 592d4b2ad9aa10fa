import { failure, isFailure } from '../../kernel/errors/failure.ts';
import { configObject, keysPrefix } from '../../repository/layout.ts';
import type { Repository } from '../../repository/repository.ts';
import type { Storage } from '../../storage/port.ts';
import type { OperationContext } from '../contract.ts';
import { assertOtherPlace } from './same-place.ts';

/**
 * Makes sure that a place is a copy of the repository: the same `holdfast.json`, or nothing at all, and then it becomes
 * one. True when it did. `copy_foreign`, `copy_same_place`.
 */
export async function makeCopy(
  repository: Repository,
  to: Storage,
  { signal, log }: Pick<OperationContext, 'signal' | 'log'>,
): Promise<boolean> {
  const from = repository.storage;
  const config = await from.get(configObject, { signal });
  const there = await getIfThere(to, signal);
  if (there !== undefined) {
    if (Buffer.compare(there, config) === 0) {
      await assertOtherPlace(from, to, { signal, log });
      return false;
    }
    throw foreign(repository, to, 'another repository is there');
  }
  const example = (await to.foreign({ signal })) ?? (await firstOther(to, signal));
  if (example !== undefined) throw foreign(repository, to, `other files are there, for instance ${example}`);
  // What opens it comes first: before holdfast.json there is no repository.
  for await (const { name } of from.list(keysPrefix, { signal }))
    await to.put(name, await from.get(name, { signal }), { signal });
  await to.put(configObject, config, { signal });
  return true;
}

async function getIfThere(to: Storage, signal: AbortSignal): Promise<Uint8Array | undefined> {
  try {
    return await to.get(configObject, { signal });
  } catch (error) {
    if (isFailure(error, 'object_missing')) return undefined;
    throw error;
  }
}

/** A copy that was begun and cut off has keys, and nothing else. */
async function firstOther(to: Storage, signal: AbortSignal): Promise<string | undefined> {
  for await (const { name } of to.list('', { signal })) if (!name.startsWith(keysPrefix)) return name;
  return undefined;
}

function foreign(repository: Repository, to: Storage, reason: string): Error {
  const { location: origin } = repository.storage;
  return failure('copy_foreign', { location: to.location, origin, reason });
}
