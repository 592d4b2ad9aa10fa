import { hash } from 'node:crypto';
import { z } from 'zod';
import { failure } from '../../kernel/errors/failure.ts';
import type { RepositoryId } from '../../kernel/ids.ts';
import type { PipelineKeys } from '../../pipeline/keys.ts';
import type { Storage } from '../../storage/port.ts';
import { decodeCheckedJson, encodeCheckedJson } from '../checked-json.ts';
import { configObject } from '../layout.ts';

const key = z.base64().refine((text) => Buffer.from(text, 'base64').length === 32, {
  error: 'is not a key',
});

/** What a machine needs that adds backups to a repository and must be able to do nothing else; a file of JSON. */
export const agentCredentialsSchema = z.strictObject({
  holdfast: z.literal('agent'),
  version: z.literal(1),
  repository: z.string().regex(/^[0-9a-f]{32}$/),
  label: z.string(),
  created_at: z.iso.datetime({ precision: 3 }),
  /** SHA-256 of the whole of `holdfast.json`, which never changes. */
  config_sha256: z.string().regex(/^[0-9a-f]{64}$/),
  /** X25519: what is sealed to it only the owner opens. */
  seal_public_key: key,
  agent_secret: key,
  /** Ed25519: what the owner signs. */
  signature_public_key: key,
  blob_id_key: key,
  wal_key: key,
  chunker_key: z.base64(),
});

export type AgentCredentials = z.infer<typeof agentCredentialsSchema>;

/** The owner's keys without everything that opens anything. `key_unencrypted`: without encryption all keys are public. */
export async function makeCredentials(
  storage: Storage,
  keys: PipelineKeys,
  about: { readonly label: string; readonly nowMs: number },
): Promise<AgentCredentials> {
  const { agent, signing } = keys;
  if (agent === null) throw failure('key_unencrypted', { location: storage.location });
  const base64 = (bytes: Uint8Array): string => Buffer.from(bytes).toString('base64');
  return {
    holdfast: 'agent',
    version: 1,
    repository: keys.repositoryId,
    label: about.label,
    created_at: new Date(about.nowMs).toISOString(),
    config_sha256: hash('sha256', await storage.get(configObject), 'hex'),
    seal_public_key: base64(agent.publicKey),
    agent_secret: base64(agent.secret),
    signature_public_key: base64(signing.publicKey),
    blob_id_key: base64(keys.blobIdKey),
    wal_key: base64(keys.walKey),
    chunker_key: base64(keys.gearTable),
  };
}

export function encodeCredentials(credentials: AgentCredentials): Uint8Array {
  return encodeCheckedJson(credentials);
}

/** Throws a plain `Error` that says what is wrong with the file. */
export function decodeCredentials(bytes: Uint8Array): AgentCredentials {
  return decodeCheckedJson(bytes, agentCredentialsSchema);
}

/** The keys of an agent: they seal, and open nothing. */
export function keysOfAgent(credentials: AgentCredentials): PipelineKeys {
  const bytes = (text: string): Uint8Array => new Uint8Array(Buffer.from(text, 'base64'));
  return {
    repositoryId: credentials.repository as RepositoryId,
    mode: 'aes-256-gcm',
    sealKey: null,
    agent: {
      publicKey: bytes(credentials.seal_public_key),
      privateKey: null,
      secret: bytes(credentials.agent_secret),
    },
    signing: { publicKey: bytes(credentials.signature_public_key), privateKey: null },
    blobIdKey: bytes(credentials.blob_id_key),
    walKey: bytes(credentials.wal_key),
    gearTable: bytes(credentials.chunker_key),
  };
}
