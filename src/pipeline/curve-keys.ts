import { createPrivateKey, createPublicKey, type KeyObject } from 'node:crypto';

/** Keys of Curve25519 as their 32 bytes: what RFC 8410 puts around them is the same for all. */
export type Curve = 'x25519' | 'ed25519';

const objectIds: Readonly<Record<Curve, number>> = { x25519: 0x6e, ed25519: 0x70 };

/** Any 32 bytes are a private key (RFC 7748, RFC 8032). */
export function privateKeyOf(curve: Curve, bytes: Uint8Array): KeyObject {
  const prefix = Buffer.from('302e020100300506032b65', 'hex');
  const der = Buffer.concat([prefix, Buffer.of(objectIds[curve], 4, 34, 4, 32), bytes]);
  return createPrivateKey({ key: der, format: 'der', type: 'pkcs8' });
}

export function publicKeyOf(curve: Curve, bytes: Uint8Array): KeyObject {
  const der = Buffer.concat([
    Buffer.from('302a300506032b65', 'hex'),
    Buffer.of(objectIds[curve], 3, 33, 0),
    bytes,
  ]);
  return createPublicKey({ key: der, format: 'der', type: 'spki' });
}

/** The 32 bytes of a public key, or of the one that belongs to a private key. */
export function publicBytesOf(key: KeyObject): Uint8Array {
  const publicKey = key.type === 'private' ? createPublicKey(key) : key;
  return Uint8Array.from(publicKey.export({ type: 'spki', format: 'der' }).subarray(-32));
}
