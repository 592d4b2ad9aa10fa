import { failure } from '../kernel/errors/failure.ts';
import type { RepositoryId } from '../kernel/ids.ts';
import { deriveKeys } from '../pipeline/keys.ts';
import type { Storage } from '../storage/port.ts';
import { authenticateConfig, readConfig, requireFeatures, type RepositoryConfig } from './config-object.ts';
import { publicMaster } from './create.ts';
import { unlock, type Unlocked } from './keyring.ts';
import { type OpenOptions, Repository } from './repository.ts';

/**
 * Opens a repository for reading and writing. Closing it closes the storage.
 * `repository_missing`, `repository_newer`, `repository_damaged`, `key_needed`, `key_wrong`, `key_none`, `key_damaged`.
 */
export async function openRepository(storage: Storage, options: OpenOptions): Promise<Repository> {
  const { location } = storage;
  const config = await readConfig(storage);
  if (config === undefined) throw failure('repository_missing', { location });
  requireFeatures(config, location, ['read']);
  const unlocked = config.encryption === 'none' ? undefined : await unlockWith(storage, config, options);
  const master = unlocked?.master ?? publicMaster(config.id as RepositoryId);
  authenticateConfig(config, master, location);
  const mode = config.encryption === 'none' ? 'plain' : config.encryption;
  const keys = deriveKeys(master, config.id as RepositoryId, mode);
  return new Repository(storage, config, options, keys, unlocked);
}

async function unlockWith(
  storage: Storage,
  config: RepositoryConfig,
  options: OpenOptions,
): Promise<Unlocked> {
  if (options.passphrase === null)
    throw failure('key_needed', { location: storage.location, looked: '', elsewhere: '' });
  return await unlock(storage, config.id as RepositoryId, options.passphrase, options.log);
}
