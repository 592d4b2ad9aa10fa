import {
  createCipheriv,
  createDecipheriv,
  createHmac,
  createSecretKey,
  diffieHellman,
  generateKeyPairSync,
  hash,
  hkdfSync,
  type KeyObject,
  randomBytes,
  timingSafeEqual,
} from 'node:crypto';
import { privateKeyOf, publicBytesOf, publicKeyOf } from './curve-keys.ts';
import type { PipelineKeys, SealMode } from './keys.ts';

/** What an object is; bound into its key, so that no object passes for one of another type. */
export const objectTypes = { pack: 1, index: 2, manifest: 3, wal: 4, record: 5 } as const;
export type ObjectType = keyof typeof objectTypes;

export const headerBytes = 64;
/** The rest of the header is the beginning of their SHA-256: a damaged copy is known as such without opening anything. */
const checkedBytes = 60;
export const tagBytes = 16;

const magic = Buffer.from('HOLDFAST', 'latin1');
const formatVersion = 1;
const sealModes: Readonly<Record<SealMode, number>> = { plain: 0, 'aes-256-gcm': 1 };
/** AES-256-GCM, by somebody who cannot open it again: the salt is the public half of a key made for this object. */
const agentSeal = 2;
const saltBytes = 32;
/** Of records only those that the reader expects of agents; of indexes, which would be believed unseen, none. */
const madeByAgents: readonly ObjectType[] = ['pack', 'manifest', 'wal'];

/** Thrown by {@link ObjectSeal.open} and header checks; callers turn it into a coded error naming the object. */
export class SealError extends Error {
  override readonly name = 'SealError';
}

/** An object that is begun: its 64-byte header, and what seals its sections. */
export interface NewObject {
  readonly header: Uint8Array;
  /** What it takes to make the header anew. */
  readonly salt: Uint8Array;
  readonly seal: ObjectSeal;
}

/**
 * Begins an object. The header: magic, format, type, seal, repository id, a random salt, a check value. Every object has
 * a key of its own derived from the salt and the header, so nonces may simply count.
 */
export function newObject(keys: PipelineKeys, type: ObjectType): NewObject {
  if (keys.sealKey !== null) {
    const salt = randomBytes(saltBytes);
    const header = headerWithSalt(keys, type, salt);
    return { header, salt, seal: new ObjectSeal(keys, header) };
  }
  const { publicKey, privateKey } = generateKeyPairSync('x25519');
  const salt = agentSalt(publicBytesOf(publicKey));
  const header = headerWithSalt(keys, type, salt);
  return { header, salt, seal: new ObjectSeal(keys, header, privateKey) };
}

/**
 * The header an object with this salt must have; what a reader rebuilds when it knows the salt from an index. Of an object
 * that an agent sealed, the salt has a 33rd byte that says so.
 */
export function headerWithSalt(keys: PipelineKeys, type: ObjectType, salt: Uint8Array): Uint8Array {
  const header = Buffer.alloc(headerBytes);
  magic.copy(header, 0);
  header[8] = formatVersion;
  header[9] = objectTypes[type];
  header[10] = isAgentSalt(salt) ? agentSeal : sealModes[keys.mode];
  header.set(Buffer.from(keys.repositoryId, 'hex'), 12);
  header.set(salt.subarray(0, saltBytes), 28);
  header.set(hash('sha256', header.subarray(0, checkedBytes), 'buffer').subarray(0, 4), checkedBytes);
  return header;
}

/** Whether it is the salt of an object that an agent sealed. */
export function isAgentSalt(salt: Uint8Array): boolean {
  return salt.length > saltBytes;
}

/** The salt of an agent's object out of the 32 bytes that stand in its header. */
export function agentSalt(publicKey: Uint8Array): Uint8Array {
  return Buffer.concat([publicKey, Buffer.of(agentSeal)]);
}

/**
 * The salt of a header that is as it must be; throws {@link SealError} saying which part is not. A record that an agent
 * sealed is taken for one only `fromAgents`.
 */
export function saltOfHeader(
  keys: PipelineKeys,
  type: ObjectType,
  header: Uint8Array,
  fromAgents = madeByAgents.includes(type),
): Uint8Array {
  if (header.length < headerBytes) throw new SealError('shorter than its header');
  const found = Buffer.from(header.buffer, header.byteOffset, headerBytes);
  const bytes = found.subarray(28, 60);
  const salt = found[10] === agentSeal ? agentSalt(bytes) : Uint8Array.from(bytes);
  const expected = headerWithSalt(keys, type, salt);
  if (found.compare(expected) === 0) {
    if (isAgentSalt(salt) && (keys.agent === null || !fromAgents))
      throw new SealError('it is sealed as agents do, which make no such objects');
    return salt;
  }
  if (found.compare(magic, 0, 8, 0, 8) !== 0)
    throw new SealError('it does not begin like an object of Holdfast');
  if (found[8] !== formatVersion) throw new SealError(`its format is ${found[8]}`);
  if (found[9] !== objectTypes[type]) throw new SealError(`it is not of type ${type}`);
  if (found.compare(expected, 12, 28, 12, 28) !== 0) throw new SealError('it belongs to another repository');
  if (isWhole(found)) throw new SealError(`its seal is ${found[10]}, which is none of this repository`);
  throw new SealError('its header is damaged');
}

function isWhole(header: Buffer): boolean {
  const check = hash('sha256', header.subarray(0, checkedBytes), 'buffer');
  return check.compare(header, checkedBytes, headerBytes, 0, 4) === 0;
}

/** Seals and opens the sections of one object. */
export class ObjectSeal {
  readonly #mode: SealMode;
  /** Not bytes: node:crypto takes three times as long to begin with those. */
  readonly #key: KeyObject;

  /** `ephemeral`: the private half of the key in the header, which only an agent has, while it seals. */
  constructor(keys: PipelineKeys, header: Uint8Array, ephemeral?: KeyObject) {
    this.#mode = keys.mode;
    const salt = header.subarray(28, 60);
    // The whole header is in `info`, so a header changed in any bit gives another key.
    const info = Buffer.concat([Buffer.from('holdfast/1/object/'), header.subarray(0, headerBytes)]);
    const secret = header[10] === agentSeal ? sharedSecret(keys, salt, ephemeral) : keys.sealKey;
    if (secret === null) throw new SealError('the credentials of an agent open nothing');
    this.#key = createSecretKey(Buffer.from(hkdfSync('sha256', secret, salt, info, 32)));
  }

  /**
   * Seals `data`. `position` must be used once per object (the byte offset of the section serves): it is the nonce.
   * Returns the pieces to store one after another; their total length is `data.length + tagBytes`.
   */
  seal(position: number, additional: Uint8Array, data: Uint8Array): readonly [Uint8Array, Uint8Array] {
    if (this.#mode === 'plain') return [data, this.#plainTag(position, additional, data)];
    const cipher = createCipheriv('aes-256-gcm', this.#key, nonceAt(position));
    cipher.setAAD(additional);
    const sealed = cipher.update(data);
    cipher.final();
    return [sealed, cipher.getAuthTag()];
  }

  /** Opens what {@link seal} stored; throws {@link SealError} when any bit is not as it was. */
  open(position: number, additional: Uint8Array, stored: Uint8Array): Uint8Array {
    if (stored.length < tagBytes) throw new SealError('shorter than its tag');
    const data = stored.subarray(0, stored.length - tagBytes);
    const tag = stored.subarray(stored.length - tagBytes);
    if (this.#mode === 'plain') {
      if (timingSafeEqual(tag, this.#plainTag(position, additional, data))) return data;
      throw new SealError('its contents do not match their check value');
    }
    const decipher = createDecipheriv('aes-256-gcm', this.#key, nonceAt(position), {
      authTagLength: tagBytes,
    });
    decipher.setAAD(additional);
    decipher.setAuthTag(tag);
    const opened = decipher.update(data);
    try {
      decipher.final();
    } catch (error) {
      throw new SealError('its contents do not match their check value', { cause: error });
    }
    return opened;
  }

  #plainTag(position: number, additional: Uint8Array, data: Uint8Array): Uint8Array {
    return createHmac('sha256', this.#key)
      .update(nonceAt(position))
      .update(hash('sha256', additional, 'buffer'))
      .update(hash('sha256', data, 'buffer'))
      .digest()
      .subarray(0, tagBytes);
  }
}

function nonceAt(position: number): Uint8Array {
  const nonce = Buffer.alloc(12);
  nonce.writeBigUInt64LE(BigInt(position), 4);
  return nonce;
}

/** What only two have: who made the key in the header, and the owner of the repository. */
function sharedSecret(
  { agent }: PipelineKeys,
  publicKey: Uint8Array,
  ephemeral: KeyObject | undefined,
): Uint8Array | null {
  if (agent === null) throw new SealError('an agent sealed it, and the repository has none');
  const mine = agent.privateKey === null ? ephemeral : privateKeyOf('x25519', agent.privateKey);
  if (mine === undefined) return null;
  const theirs = publicKeyOf('x25519', agent.privateKey === null ? agent.publicKey : publicKey);
  try {
    return Buffer.concat([diffieHellman({ privateKey: mine, publicKey: theirs }), agent.secret]);
  } catch (error) {
    // A point of small order: no agent makes one.
    throw new SealError('the key in its header is none', { cause: error });
  }
}
