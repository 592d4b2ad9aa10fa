import { hash } from 'node:crypto';
import { manifestSchema, type Manifest } from '../contract/manifest.ts';
import { failure, isFailure, reasonOf } from '../kernel/errors/failure.ts';
import { isAgent, type PipelineKeys } from '../pipeline/keys.ts';
import type { Storage } from '../storage/port.ts';
import { highestSequence, parseSnapshotObject, snapshotObject, snapshotsPrefix } from './layout.ts';
import type { BackupName } from './model.ts';
import type { HistoryMemory } from './remembered.ts';
import { openObject, sealObject } from './sealed-object.ts';

/** Every backup there is, oldest first by sequence, from one listing. */
export async function listManifests(storage: Storage, signal?: AbortSignal): Promise<BackupName[]> {
  const names: BackupName[] = [];
  for await (const { name } of storage.list(snapshotsPrefix, { signal })) {
    const parsed = parseSnapshotObject(name);
    if (parsed !== undefined) names.push(parsed);
  }
  return names;
}

/** Reads, authenticates and parses a manifest. `object_damaged`, `backup_unknown` when it is gone. */
export async function readManifest(
  storage: Storage,
  keys: PipelineKeys,
  name: BackupName,
  signal?: AbortSignal,
): Promise<Manifest> {
  return (await readManifestWithHash(storage, keys, name, signal)).manifest;
}

/** As {@link readManifest}, with the SHA-256 of the sealed bytes: what the next manifest names it by. */
export async function readManifestWithHash(
  storage: Storage,
  keys: PipelineKeys,
  name: BackupName,
  signal?: AbortSignal,
): Promise<{ manifest: Manifest; sha256: string }> {
  const bytes = await getManifest(storage, name, signal);
  const contents = openObject(keys, 'manifest', name.objectName, bytes, name.objectName);
  try {
    const manifest = manifestSchema.parse(JSON.parse(Buffer.from(contents).toString()));
    return { manifest, sha256: hash('sha256', bytes, 'hex') };
  } catch (error) {
    throw failure('object_damaged', { name: name.objectName, reason: reasonOf(error) }, { cause: error });
  }
}

async function getManifest(storage: Storage, name: BackupName, signal?: AbortSignal): Promise<Uint8Array> {
  try {
    return await storage.get(name.objectName, { signal });
  } catch (error) {
    if (isFailure(error, 'object_missing'))
      throw failure('backup_unknown', { reference: name.id, known: '' }, { cause: error });
    throw error;
  }
}

/** How far back a manifest names its predecessors: late-comers of parallel runs are caught, and it stays short. */
const chainReach = 2;
const chainMaximum = 16;

/**
 * Writes a manifest: the backup exists from here on. Its sequence and predecessors come from a listing made now; an agent,
 * who cannot read them, knows the hashes of those that it remembers.
 * Resolves when it is durable.
 */
export async function commitManifest(
  storage: Storage,
  keys: PipelineKeys,
  draft: Omit<Manifest, 'sequence' | 'previous'>,
  { signal, memory }: { readonly signal?: AbortSignal; readonly memory?: HistoryMemory | undefined } = {},
): Promise<Manifest> {
  const names = await listManifests(storage, signal);
  const highest = names.at(-1)?.sequence ?? 0;
  const recent = names.filter((name) => name.sequence > highest - chainReach).slice(-chainMaximum);
  const previous: Manifest['previous'] = [];
  for (const name of recent) {
    const link = isAgent(keys)
      ? { id: name.id, sha256: memory?.sha256Of(name.id) ?? null }
      : await linkTo(storage, keys, name, signal);
    if (link !== undefined) previous.push(link);
  }
  const sequence = Math.min(highest + 1, highestSequence);
  const manifest = manifestSchema.parse({ ...draft, sequence, previous });
  const objectName = objectOf(manifest);
  const contents = Buffer.from(JSON.stringify(manifest));
  // Not abortable any more: whether it was written or not must be known.
  const sealed = sealObject(keys, 'manifest', contents, objectName);
  await storage.put(objectName, sealed);
  await memory?.saw([
    { id: manifest.id, sequence: manifest.sequence, sha256: hash('sha256', sealed, 'hex') },
  ]);
  return manifest;
}

/** The name of the object that a manifest is in. */
export function objectOf({ id, sequence, started_at }: Manifest): string {
  return snapshotObject(sequence, Date.parse(started_at), id as BackupName['id']);
}

/** A damaged or vanished predecessor must not stop new backups: `verify` names it. */
async function linkTo(
  storage: Storage,
  keys: PipelineKeys,
  name: BackupName,
  signal?: AbortSignal,
): Promise<Manifest['previous'][number] | undefined> {
  try {
    const { manifest, sha256 } = await readManifestWithHash(storage, keys, name, signal);
    return { id: manifest.id, sha256 };
  } catch (error) {
    if (isFailure(error, 'object_damaged') || isFailure(error, 'backup_unknown')) return undefined;
    throw error;
  }
}
