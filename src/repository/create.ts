import { hash, randomBytes } from 'node:crypto';
import type { Clock } from '../kernel/clock.ts';
import { failure, isFailure } from '../kernel/errors/failure.ts';
import { newRepositoryId, type KeyId, type RepositoryId } from '../kernel/ids.ts';
import type { Storage } from '../storage/port.ts';
import { encodeConfig, formatVersion, newConfig, readConfig } from './config-object.ts';
import { wrapMaster } from './key-object.ts';
import { keyInfoOf, storeKey } from './keyring.ts';
import { configObject, keyObject, keysPrefix } from './layout.ts';
import type { KeyInfo, NewKey, RepositoryInfo } from './model.ts';

export interface CreateOptions {
  /** For callers that must know it before there is anything; made up unless given. */
  readonly id?: RepositoryId;
  /** The first passphrase; null for a repository that is authenticated but not encrypted. */
  readonly key: NewKey | null;
  readonly clock: Clock;
  readonly host: string;
  readonly user: string;
}

export interface Created {
  readonly info: RepositoryInfo;
  readonly key: KeyInfo | null;
}

/**
 * Makes a repository in an empty place. `repository_exists`, `repository_foreign`, `key_weak`.
 * `holdfast.json` is written last: before that there is no repository.
 */
export async function createRepository(storage: Storage, options: CreateOptions): Promise<Created> {
  const { location } = storage;
  if ((await readConfig(storage)) !== undefined) throw failure('repository_exists', { location });
  await refuseForeign(storage);
  const info: RepositoryInfo = {
    id: options.id ?? newRepositoryId(),
    format: formatVersion,
    encrypted: options.key !== null,
    createdAt: new Date(options.clock.now()).toISOString(),
  };
  const master = options.key === null ? publicMaster(info.id) : randomBytes(32);
  const origin = { nowMs: options.clock.now(), host: options.host, user: options.user };
  const key = options.key === null ? null : await wrapMaster(master, info.id, options.key, origin);
  if (key !== null) await storeKey(storage, key);
  try {
    await storage.put(configObject, encodeConfig(newConfig(info, master)));
  } catch (error) {
    // After any other error the configuration may be there all the same, and needs its key.
    if (!isFailure(error, 'object_exists')) throw error;
    // Somebody else was faster: take back the key that opens nothing.
    if (key !== null) await storage.delete(keyObject(key.id));
    throw failure('repository_exists', { location }, { cause: error });
  }
  return { info, key: key === null ? null : keyInfoOf(key, key.id as KeyId) };
}

/** The master key of a repository that is not encrypted: no secret, so it still detects damage but hides nothing. */
export function publicMaster(id: RepositoryId): Uint8Array {
  return hash('sha256', `holdfast/1/public/${id}`, 'buffer');
}

/** A crashed or parallel `init` leaves keys and nothing else; anything beside them is somebody else's. */
async function refuseForeign(storage: Storage): Promise<void> {
  const example = await storage.foreign();
  if (example !== undefined) throw failure('repository_foreign', { location: storage.location, example });
  for await (const { name } of storage.list('')) {
    if (!name.startsWith(keysPrefix)) {
      throw failure('repository_foreign', { location: storage.location, example: name });
    }
  }
}
