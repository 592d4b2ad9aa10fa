import { argon2, createCipheriv, createDecipheriv, randomBytes } from 'node:crypto';
import { promisify } from 'node:util';
import { z } from 'zod';
import { failure } from '../kernel/errors/failure.ts';
import { newKeyId, type RepositoryId } from '../kernel/ids.ts';
import { plural } from '../kernel/plural.ts';
import type { Secret } from '../kernel/secret.ts';
import { canonicalJson } from './checked-json.ts';
import type { NewKey } from './model.ts';

const base64 = z.base64();

/** A key object: one passphrase's wrapping of the master key. */
export const keyObjectSchema = z.strictObject({
  holdfast: z.literal('key'),
  repository: z.string().regex(/^[0-9a-f]{32}$/),
  id: z.string().regex(/^[0-9a-f]{16}$/),
  label: z.string(),
  created_at: z.iso.datetime({ precision: 3 }),
  host: z.string(),
  user: z.string(),
  kdf: z.strictObject({
    algorithm: z.literal('argon2id'),
    // Bounds, so that a forged object cannot take all memory or time.
    memory_kib: z.number().int().min(8).max(4_194_304),
    passes: z.number().int().min(1).max(64),
    parallelism: z.number().int().min(1).max(64),
    salt: base64,
  }),
  /** The master key (32 bytes) sealed by AES-256-GCM under the derived key: ciphertext and tag. */
  wrapped: base64,
});

export type KeyObject = z.infer<typeof keyObjectSchema>;

/** RFC 9106, second recommended option: 64 MiB, three passes, four lanes. */
const kdfCost = { algorithm: 'argon2id', memory_kib: 65_536, passes: 3, parallelism: 4 } as const;
/** What makes guesses slow makes every command slow, and protects nothing where there is nothing to guess. */
const randomKeyCost = { algorithm: 'argon2id', memory_kib: 64, passes: 1, parallelism: 1 } as const;
const minimumPassphraseLength = 8;

const deriveArgon2 = promisify(argon2);

export interface KeyOrigin {
  readonly nowMs: number;
  readonly host: string;
  readonly user: string;
}

/** Wraps the master key under a passphrase. `key_weak` when it is too short. */
export async function wrapMaster(
  master: Uint8Array,
  repository: RepositoryId,
  key: NewKey,
  origin: KeyOrigin,
): Promise<KeyObject> {
  refuseWeak(key.passphrase);
  const facts = {
    holdfast: 'key' as const,
    repository: repository as string,
    id: newKeyId() as string,
    label: key.label,
    created_at: new Date(origin.nowMs).toISOString(),
    host: origin.host,
    user: origin.user,
    kdf: { ...(key.isRandom === true ? randomKeyCost : kdfCost), salt: randomBytes(32).toString('base64') },
  };
  const cipher = createCipheriv('aes-256-gcm', await wrappingKey(facts.kdf, key.passphrase), nonce);
  cipher.setAAD(Buffer.from(canonicalJson(facts)));
  const wrapped = Buffer.concat([cipher.update(master), cipher.final(), cipher.getAuthTag()]);
  return { ...facts, wrapped: wrapped.toString('base64') };
}

/** The master key, or undefined when the passphrase is not this key's. */
export async function unwrapMaster(object: KeyObject, passphrase: Secret): Promise<Uint8Array | undefined> {
  const { wrapped, ...facts } = object;
  const bytes = Buffer.from(wrapped, 'base64');
  if (bytes.length !== 48) return undefined;
  const key = await wrappingKey(object.kdf, passphrase);
  const decipher = createDecipheriv('aes-256-gcm', key, nonce, { authTagLength: 16 });
  decipher.setAAD(Buffer.from(canonicalJson(facts)));
  decipher.setAuthTag(bytes.subarray(32));
  try {
    return Buffer.concat([decipher.update(bytes.subarray(0, 32)), decipher.final()]);
  } catch {
    return undefined; // GCM tells a wrong passphrase from a right one in no other way.
  }
}

/** Every wrapping has a random salt and so a key of its own, used once: the nonce may be constant. */
const nonce = Buffer.alloc(12);

async function wrappingKey(kdf: KeyObject['kdf'], passphrase: Secret): Promise<Uint8Array> {
  return await deriveArgon2('argon2id', {
    // The same characters typed on another keyboard may come as other code points.
    message: Buffer.from(passphrase.reveal().normalize('NFC')),
    nonce: Buffer.from(kdf.salt, 'base64'),
    memory: kdf.memory_kib,
    passes: kdf.passes,
    parallelism: kdf.parallelism,
    tagLength: 32,
  });
}

function refuseWeak(passphrase: Secret): void {
  const length = passphrase.reveal().length;
  if (length === 0) throw failure('key_weak', { reason: 'it is empty' });
  if (length < minimumPassphraseLength)
    throw failure('key_weak', { reason: `it has ${plural(length, 'character')}` });
}
