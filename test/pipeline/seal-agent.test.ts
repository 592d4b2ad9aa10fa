import assert from 'node:assert/strict';
import {
  createDecipheriv,
  createPrivateKey,
  createPublicKey,
  diffieHellman,
  hkdfSync,
  randomBytes,
} from 'node:crypto';
import { test } from 'node:test';
import fc from 'fast-check';
import { newRepositoryId } from '../../src/kernel/ids.ts';
import { derive, deriveKeys, type PipelineKeys } from '../../src/pipeline/keys.ts';
import {
  agentSalt,
  headerWithSalt,
  newObject,
  ObjectSeal,
  objectTypes,
  saltOfHeader,
  SealError,
  type ObjectType,
} from '../../src/pipeline/seal.ts';

const id = newRepositoryId();
const master = randomBytes(32);
const owner = deriveKeys(master, id, 'aes-256-gcm');
const agent = agentOf(owner);
const bytes = fc.uint8Array({ maxLength: 300 });

/** What of the keys an agent is given. */
function agentOf(keys: PipelineKeys): PipelineKeys {
  assert.ok(keys.agent !== null);
  return { ...keys, sealKey: null, agent: { ...keys.agent, privateKey: null } };
}

function refuses(open: () => unknown): void {
  assert.throws(open, SealError);
}

test('what an agent seals the owner opens, and nobody else, the agent neither', () => {
  fc.assert(
    fc.property(bytes, bytes, fc.nat(1_000_000), fc.nat(), (data, additional, position, flip) => {
      const { header, seal, salt } = newObject(agent, 'pack');
      const stored = Buffer.concat(seal.seal(position, additional, data));
      assert.deepEqual(saltOfHeader(owner, 'pack', header), salt);
      assert.deepEqual(headerWithSalt(owner, 'pack', salt), header);
      const opened = new ObjectSeal(owner, header).open(position, additional, stored);
      assert.deepEqual(Buffer.from(opened), Buffer.from(data));
      refuses(() => new ObjectSeal(agent, header));
      refuses(() =>
        new ObjectSeal(deriveKeys(randomBytes(32), id, 'aes-256-gcm'), header).open(
          position,
          additional,
          stored,
        ),
      );
      const damaged = Uint8Array.from(Buffer.concat([header, stored]));
      const bit = flip % (damaged.length * 8);
      damaged[bit >> 3] = (damaged[bit >> 3] ?? 0) ^ (1 << (bit & 7));
      refuses(() => {
        saltOfHeader(owner, 'pack', damaged);
        new ObjectSeal(owner, damaged.subarray(0, 64)).open(position, additional, damaged.subarray(64));
      });
    }),
    { numRuns: 100 },
  );
});

test('without the agent secret nothing can be forged, with the public key alone', () => {
  assert.ok(agent.agent !== null);
  const forger: PipelineKeys = { ...agent, agent: { ...agent.agent, secret: randomBytes(32) } };
  const { header, seal } = newObject(forger, 'manifest');
  const stored = Buffer.concat(seal.seal(64, Buffer.alloc(0), Buffer.from('a backup that never was')));
  refuses(() => new ObjectSeal(owner, header).open(64, Buffer.alloc(0), stored));
});

test('an agent opens nothing of the owner', () => {
  const { header, seal } = newObject(owner, 'manifest');
  Buffer.concat(seal.seal(64, Buffer.alloc(0), Buffer.from('secret')));
  refuses(() => new ObjectSeal(agent, header));
});

test('of agents no index is believed, and records only where they are expected', () => {
  for (const type of Object.keys(objectTypes) as ObjectType[]) {
    const { header } = newObject(agent, type);
    const expected = type !== 'index' && type !== 'record';
    if (expected) saltOfHeader(owner, type, header);
    else assert.throws(() => saltOfHeader(owner, type, header), /agents .* make no such objects/);
  }
  saltOfHeader(owner, 'record', newObject(agent, 'record').header, true);
  assert.throws(() => saltOfHeader(owner, 'pack', newObject(agent, 'pack').header, false), SealError);
});

test('a repository that is not encrypted has no agents', () => {
  const plain = deriveKeys(master, id, 'plain');
  assert.equal(plain.agent, null);
  const { header } = newObject(agent, 'pack');
  refuses(() => saltOfHeader(plain, 'pack', header));
  refuses(() => new ObjectSeal(plain, header));
});

test('a seal that nobody knows yet is named as that, and a key of small order opens nothing', () => {
  const unknown = Buffer.from(newObject(owner, 'pack').header);
  const whole = headerWithSalt({ ...owner, mode: 'plain' }, 'pack', unknown.subarray(28, 60));
  assert.throws(() => saltOfHeader(owner, 'pack', whole), /its seal is 0/);
  const small = headerWithSalt(owner, 'pack', agentSalt(new Uint8Array(32)));
  refuses(() => new ObjectSeal(owner, small));
});

test('the key of an object is the one that the format describes', () => {
  const { header, seal } = newObject(agent, 'wal');
  const [sealed, tag] = seal.seal(64, Buffer.from('A'), Buffer.from('data'));
  const jwk = (raw: Uint8Array): string => Buffer.from(raw).toString('base64url');
  const scalar = derive(master, id, 'agent', 32);
  const publicKey = jwk(owner.agent?.publicKey ?? new Uint8Array(0));
  const mine = createPrivateKey({
    key: { kty: 'OKP', crv: 'X25519', d: jwk(scalar), x: publicKey },
    format: 'jwk',
  });
  const theirs = createPublicKey({
    key: { kty: 'OKP', crv: 'X25519', x: jwk(header.subarray(28, 60)) },
    format: 'jwk',
  });
  const shared = diffieHellman({ privateKey: mine, publicKey: theirs });
  const ikm = Buffer.concat([shared, derive(master, id, 'agent-secret', 32)]);
  const info = Buffer.concat([Buffer.from('holdfast/1/object/'), header]);
  const key = Buffer.from(hkdfSync('sha256', ikm, header.subarray(28, 60), info, 32));
  const opened = new ObjectSeal(owner, header).open(64, Buffer.from('A'), Buffer.concat([sealed, tag]));
  assert.equal(Buffer.from(opened).toString(), 'data');
  assert.equal(openByHand(key, Buffer.concat([sealed, tag])), 'data');
});

function openByHand(key: Uint8Array, stored: Buffer): string {
  const nonce = Buffer.alloc(12);
  nonce.writeBigUInt64LE(64n, 4);
  const decipher = createDecipheriv('aes-256-gcm', key, nonce);
  decipher.setAAD(Buffer.from('A'));
  decipher.setAuthTag(stored.subarray(-16));
  return Buffer.concat([decipher.update(stored.subarray(0, -16)), decipher.final()]).toString();
}
