import { failure, isFailure, reasonOf } from '../kernel/errors/failure.ts';
import type { KeyId, RepositoryId } from '../kernel/ids.ts';
import type { Logger } from '../kernel/log.ts';
import type { Secret } from '../kernel/secret.ts';
import type { Storage } from '../storage/port.ts';
import { decodeCheckedJson, encodeCheckedJson } from './checked-json.ts';
import { keyObjectSchema, unwrapMaster, wrapMaster, type KeyObject, type KeyOrigin } from './key-object.ts';
import { keyObject, keysPrefix } from './layout.ts';
import type { KeyInfo, Keyring, NewKey } from './model.ts';

export async function storeKey(storage: Storage, key: KeyObject): Promise<void> {
  await storage.put(keyObject(key.id), encodeCheckedJson(key));
}

export interface ReadKeys {
  readonly keys: readonly KeyObject[];
  /** Why each key object that cannot be used cannot be used: a `key_damaged` each. */
  readonly damaged: readonly { readonly name: string; readonly error: Error }[];
}

/** Reads every key object of this repository. */
export async function readKeys(storage: Storage, repository: RepositoryId): Promise<ReadKeys> {
  const keys: KeyObject[] = [];
  const damaged: { name: string; error: Error }[] = [];
  for await (const { name } of storage.list(keysPrefix)) {
    const bytes = await getOrGone(storage, name);
    if (bytes === undefined) continue;
    try {
      const key = decodeCheckedJson(bytes, keyObjectSchema);
      if (keyObject(key.id) !== name) throw new Error('its id is not its name');
      if (key.repository !== repository) throw new Error('it belongs to another repository');
      keys.push(key);
    } catch (error) {
      damaged.push({ name, error: failure('key_damaged', { name, reason: reasonOf(error) }) });
    }
  }
  return { keys, damaged };
}

export interface Unlocked {
  readonly master: Uint8Array;
  readonly key: KeyObject;
}

/** Opens the master key with a passphrase. `key_wrong`, `key_none`, or `key_damaged` when only damaged keys remain. */
export async function unlock(
  storage: Storage,
  repository: RepositoryId,
  passphrase: Secret,
  log: Logger,
): Promise<Unlocked> {
  const { keys, damaged } = await readKeys(storage, repository);
  for (const { error } of damaged) log.warn(error.message);
  for (const key of keys) {
    const master = await unwrapMaster(key, passphrase);
    if (master !== undefined) return { master, key };
  }
  const [firstDamaged] = damaged;
  if (firstDamaged !== undefined) throw firstDamaged.error;
  if (keys.length === 0) throw failure('key_none', { location: storage.location });
  throw failure('key_wrong', { count: keys.length, location: storage.location });
}

/** The keys of an open, encrypted repository. */
export class StoredKeyring implements Keyring {
  readonly #storage: Storage;
  readonly #repository: RepositoryId;
  readonly #master: Uint8Array;
  readonly #origin: () => KeyOrigin;
  #current: KeyId;

  constructor(storage: Storage, repository: RepositoryId, unlocked: Unlocked, origin: () => KeyOrigin) {
    this.#storage = storage;
    this.#repository = repository;
    this.#master = unlocked.master;
    this.#origin = origin;
    this.#current = unlocked.key.id as KeyId;
  }

  async list(): Promise<readonly KeyInfo[]> {
    const { keys } = await readKeys(this.#storage, this.#repository);
    return keys.map((key) => keyInfoOf(key, this.#current));
  }

  async add(key: NewKey): Promise<KeyInfo> {
    const object = await wrapMaster(this.#master, this.#repository, key, this.#origin());
    // Read the wrapping back before anyone relies on it.
    if ((await unwrapMaster(object, key.passphrase)) === undefined)
      throw new Error('the new key does not open');
    await storeKey(this.#storage, object);
    return keyInfoOf(object, this.#current);
  }

  async remove(id: KeyId): Promise<void> {
    const { keys } = await readKeys(this.#storage, this.#repository);
    const matching = keys.filter((key) => id.length >= 4 && key.id.startsWith(id));
    const [match] = matching;
    if (match === undefined || matching.length > 1) throw failure('key_unknown', { id });
    if (keys.length === 1) throw failure('key_last', { id: match.id });
    await this.#storage.delete(keyObject(match.id));
    // Somebody else may have removed the others at the same moment, having seen this one.
    const left = await readKeys(this.#storage, this.#repository);
    if (left.keys.length > 0) return;
    await storeKey(this.#storage, match);
    throw failure('key_last', { id: match.id });
  }

  async change(key: NewKey, whenBothOpen?: () => Promise<void>): Promise<KeyInfo> {
    const old = this.#current;
    const added = await this.add(key);
    await whenBothOpen?.();
    await this.remove(old);
    this.#current = added.id;
    return { ...added, current: true };
  }
}

/** The keyring of a repository that is not encrypted, or of an agent: it has no keys and takes none. */
export class NoKeyring implements Keyring {
  readonly #location: string;
  readonly #isAgent: boolean;

  constructor(location: string, isAgent: boolean) {
    this.#location = location;
    this.#isAgent = isAgent;
  }

  list(): Promise<readonly KeyInfo[]> {
    return Promise.resolve([]);
  }

  add(): Promise<KeyInfo> {
    return this.#refuse();
  }

  remove(): Promise<void> {
    return this.#refuse();
  }

  change(): Promise<KeyInfo> {
    return this.#refuse();
  }

  #refuse<T>(): Promise<T> {
    if (this.#isAgent) return Promise.reject(failure('agent_cannot', { what: 'change keys' }));
    return Promise.reject(failure('key_unencrypted', { location: this.#location }));
  }
}

export function keyInfoOf(key: KeyObject, current: KeyId | undefined): KeyInfo {
  const { label, host, user } = key;
  return { id: key.id as KeyId, label, createdAt: key.created_at, host, user, current: key.id === current };
}

async function getOrGone(storage: Storage, name: string): Promise<Uint8Array | undefined> {
  try {
    return await storage.get(name);
  } catch (error) {
    if (isFailure(error, 'object_missing')) return undefined;
    throw error;
  }
}
