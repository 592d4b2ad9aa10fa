import { sign, verify } from 'node:crypto';
import { z } from 'zod';
import { failure, reasonOf } from '../kernel/errors/failure.ts';
import { privateKeyOf, publicKeyOf } from '../pipeline/curve-keys.ts';
import type { PipelineKeys } from '../pipeline/keys.ts';
import type { CallOptions, Storage } from '../storage/port.ts';
import { canonicalJson } from './checked-json.ts';

const signedSchema = z.strictObject({ signed: z.unknown(), signature: z.base64() });

/**
 * Records that everybody who has keys may read, agents too, and only the owner can make: plain JSON with a signature over
 * the repository, the object's name and the contents. For what is no secret to who reads the storage.
 */
export async function putSigned(
  storage: Storage,
  keys: PipelineKeys,
  name: string,
  contents: unknown,
  options: CallOptions = {},
): Promise<void> {
  const { privateKey } = keys.signing;
  if (privateKey === null) throw failure('agent_cannot', { what: `sign ${name}` });
  const signature = sign(null, signedText(keys, name, contents), privateKeyOf('ed25519', privateKey));
  const object = { signed: contents, signature: signature.toString('base64') };
  await storage.put(name, Buffer.from(`${JSON.stringify(object)}\n`), options);
}

/** Reads one. `object_missing`, `object_damaged`. */
export async function readSigned<T>(
  storage: Storage,
  keys: PipelineKeys,
  name: string,
  schema: z.ZodType<T>,
  options: CallOptions = {},
): Promise<T> {
  const bytes = await storage.get(name, options);
  try {
    const { signed, signature } = signedSchema.parse(JSON.parse(Buffer.from(bytes).toString()));
    const key = publicKeyOf('ed25519', keys.signing.publicKey);
    if (!verify(null, signedText(keys, name, signed), key, Buffer.from(signature, 'base64')))
      throw new Error('the owner of the repository has not signed it');
    return schema.parse(signed);
  } catch (error) {
    throw failure('object_damaged', { name, reason: reasonOf(error) }, { cause: error });
  }
}

function signedText({ repositoryId }: PipelineKeys, name: string, contents: unknown): Uint8Array {
  return Buffer.from(`holdfast/1/signed/${repositoryId}/${name}\n${canonicalJson(contents)}`);
}
