import { createHmac } from 'node:crypto';
import { z } from 'zod';
import { failure, reasonOf } from '../kernel/errors/failure.ts';
import type { RepositoryId } from '../kernel/ids.ts';
import { derive } from '../pipeline/keys.ts';
import type { Storage } from '../storage/port.ts';
import { canonicalJson, decodeCheckedJson, encodeCheckedJson } from './checked-json.ts';
import { configObject } from './layout.ts';
import type { RepositoryInfo } from './model.ts';

export const formatVersion = 1;

/** What a program must understand to do each kind of thing with a repository. */
export const operationKinds = ['read', 'write', 'delete', 'check'] as const;
export type OperationKind = (typeof operationKinds)[number];

const featureList = z.array(z.string());
const configSchema = z.strictObject({
  holdfast: z.literal('repository'),
  format: z.number().int().positive(),
  id: z.string().regex(/^[0-9a-f]{32}$/),
  created_at: z.iso.datetime({ precision: 3 }),
  encryption: z.enum(['aes-256-gcm', 'none']),
  features: z.strictObject({
    read: featureList,
    write: featureList,
    delete: featureList,
    check: featureList,
  }),
  /** HMAC-SHA-256 over the canonical text of everything above, under a key derived from the master key. */
  mac: z.string().regex(/^[0-9a-f]{64}$/),
});

/** Only what tells an old program that it is old; whatever else a newer format has is not looked at. */
const anyFormatSchema = z.looseObject({
  holdfast: z.literal('repository'),
  format: z.number().int().positive(),
});

export type RepositoryConfig = z.infer<typeof configSchema>;

/** Features this program knows. Format 1 has none beyond itself. */
const knownFeatures: ReadonlySet<string> = new Set();

export function newConfig(info: RepositoryInfo, master: Uint8Array): RepositoryConfig {
  const content = {
    holdfast: 'repository' as const,
    format: formatVersion,
    id: info.id as string,
    created_at: info.createdAt,
    encryption: info.encrypted ? ('aes-256-gcm' as const) : ('none' as const),
    features: { read: [], write: [], delete: [], check: [] },
  };
  return { ...content, mac: macOf(content, info.id, master) };
}

export function encodeConfig(config: RepositoryConfig): Uint8Array {
  return encodeCheckedJson(config);
}

/** Reads `holdfast.json`; undefined when there is none. `repository_newer`, `repository_damaged`. */
export async function readConfig(
  storage: Storage,
  signal?: AbortSignal,
): Promise<RepositoryConfig | undefined> {
  const bytes = await readOptional(storage, configObject, signal);
  if (bytes === undefined) return undefined;
  try {
    return decodeCheckedJson(bytes, configSchema);
  } catch (error) {
    refuseNewerFormat(storage.location, bytes);
    throw failure('repository_damaged', {
      object: configObject,
      location: storage.location,
      reason: reasonOf(error),
    });
  }
}

/** Refuses a repository that asks for features this program does not know, for the kinds of thing it will do. */
export function requireFeatures(
  config: RepositoryConfig,
  location: string,
  kinds: readonly OperationKind[],
): void {
  for (const operation of kinds) {
    const unknown = config.features[operation].filter((feature) => !knownFeatures.has(feature));
    if (unknown.length > 0) {
      throw failure('repository_newer', { location, operation, needs: unknown.join(', ') });
    }
  }
}

/** Checks that the configuration is the one the holder of the master key wrote. */
export function authenticateConfig(config: RepositoryConfig, master: Uint8Array, location: string): void {
  const { mac, ...content } = config;
  if (macOf(content, config.id as RepositoryId, master) !== mac) {
    const reason = 'it was not written by a holder of the key';
    throw failure('repository_damaged', { object: configObject, location, reason });
  }
}

export function infoOf(config: RepositoryConfig): RepositoryInfo {
  return {
    id: config.id as RepositoryId,
    format: config.format,
    encrypted: config.encryption !== 'none',
    createdAt: config.created_at,
  };
}

async function readOptional(
  storage: Storage,
  name: string,
  signal?: AbortSignal,
): Promise<Uint8Array | undefined> {
  try {
    return await storage.get(name, { signal });
  } catch (error) {
    if (isMissing(error)) return undefined;
    throw error;
  }
}

function isMissing(error: unknown): boolean {
  return error instanceof Error && 'errorName' in error && error.errorName === 'object_missing';
}

function refuseNewerFormat(location: string, bytes: Uint8Array): void {
  let parsed: unknown;
  try {
    parsed = JSON.parse(Buffer.from(bytes).toString());
  } catch {
    return; // Not JSON: damaged, which the caller says.
  }
  const loose = anyFormatSchema.safeParse(parsed);
  if (loose.success && loose.data.format > formatVersion) {
    throw failure('repository_newer', { location, operation: 'open', needs: `format ${loose.data.format}` });
  }
}

function macOf(content: Omit<RepositoryConfig, 'mac'>, id: RepositoryId, master: Uint8Array): string {
  return createHmac('sha256', derive(master, id, 'config', 32))
    .update(canonicalJson(content))
    .digest('hex');
}
