import { hash } from 'node:crypto';
import { failure } from '../../kernel/errors/failure.ts';
import type { Storage } from '../../storage/port.ts';
import { encodeConfig, readConfig, requireFeatures } from '../config-object.ts';
import { type OpenOptions, Repository } from '../repository.ts';
import { keysOfAgent, type AgentCredentials } from './credentials.ts';
import { AgentStorage } from './storage.ts';

/**
 * Opens a repository for adding to it, with the credentials of an agent: backups and WAL can be written, nothing can be
 * read or removed. Closing it closes the storage. `repository_missing`, `repository_newer`, `repository_damaged`,
 * `agent_file_wrong`; `path` is where the credentials are from, for messages.
 */
export async function openAsAgent(
  storage: Storage,
  credentials: AgentCredentials,
  { path, ...options }: Omit<OpenOptions, 'passphrase'> & { readonly path: string },
): Promise<Repository> {
  const { location } = storage;
  const config = await readConfig(storage);
  if (config === undefined) throw failure('repository_missing', { location });
  const wrong = (reason: string): Error => failure('agent_file_wrong', { path, location, reason });
  if (config.id !== credentials.repository) throw wrong('they are of another repository');
  // An agent has no key to check it with, and needs none: it never changes.
  if (hash('sha256', encodeConfig(config), 'hex') !== credentials.config_sha256)
    throw wrong('its holdfast.json is another than when they were made');
  requireFeatures(config, location, ['read', 'write']);
  const keys = keysOfAgent(credentials);
  return new Repository(new AgentStorage(storage), config, { ...options, passphrase: null }, keys, undefined);
}
