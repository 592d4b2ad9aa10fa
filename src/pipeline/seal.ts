import {
  createCipheriv,
  createDecipheriv,
  createHmac,
  createSecretKey,
  hash,
  hkdfSync,
  type KeyObject,
  randomBytes,
  timingSafeEqual,
} from 'node:crypto';
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

/** Thrown by {@link ObjectSeal.open} and header checks; callers turn it into a coded error naming the object. */
export class SealError extends Error {
  override readonly name = 'SealError';
}

/**
 * The 64-byte header of a new object: magic, format, type, seal mode, repository id, a random salt, a check value.
 * Every object has a key of its own derived from the salt and the header, so nonces may simply count.
 */
export function newHeader(keys: PipelineKeys, type: ObjectType): Uint8Array {
  return headerWithSalt(keys, type, randomBytes(32));
}

/** The header an object with this salt must have; what a reader rebuilds when it knows the salt from an index. */
export function headerWithSalt(keys: PipelineKeys, type: ObjectType, salt: Uint8Array): Uint8Array {
  const header = Buffer.alloc(headerBytes);
  magic.copy(header, 0);
  header[8] = formatVersion;
  header[9] = objectTypes[type];
  header[10] = sealModes[keys.mode];
  header.set(Buffer.from(keys.repositoryId, 'hex'), 12);
  header.set(salt, 28);
  header.set(hash('sha256', header.subarray(0, checkedBytes), 'buffer').subarray(0, 4), checkedBytes);
  return header;
}

/** The salt of a header that is as it must be; throws {@link SealError} saying which part is not. */
export function saltOfHeader(keys: PipelineKeys, type: ObjectType, header: Uint8Array): Uint8Array {
  if (header.length < headerBytes) throw new SealError('shorter than its header');
  const found = Buffer.from(header.buffer, header.byteOffset, headerBytes);
  const salt = Uint8Array.from(found.subarray(28, 60));
  const expected = headerWithSalt(keys, type, salt);
  if (found.compare(expected) === 0) return salt;
  if (found.compare(magic, 0, 8, 0, 8) !== 0)
    throw new SealError('it does not begin like an object of Holdfast');
  if (found[8] !== formatVersion) throw new SealError(`its format is ${found[8]}`);
  if (found[9] !== objectTypes[type]) throw new SealError(`it is not of type ${type}`);
  if (found.compare(expected, 12, 28, 12, 28) !== 0) throw new SealError('it belongs to another repository');
  throw new SealError('its header is damaged');
}

/** Seals and opens the sections of one object. */
export class ObjectSeal {
  readonly #mode: SealMode;
  /** Not bytes: node:crypto takes three times as long to begin with those. */
  readonly #key: KeyObject;

  constructor(keys: PipelineKeys, header: Uint8Array) {
    this.#mode = keys.mode;
    const salt = header.subarray(28, 60);
    // The whole header is in `info`, so a header changed in any bit gives another key.
    const info = Buffer.concat([Buffer.from('holdfast/1/object/'), header.subarray(0, headerBytes)]);
    this.#key = createSecretKey(Buffer.from(hkdfSync('sha256', keys.sealKey, salt, info, 32)));
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
