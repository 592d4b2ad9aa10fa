import { hash } from 'node:crypto';
import { manifestSchema, type Manifest } from '../../contract/manifest.ts';
import { failure, isFailure, reasonOf } from '../../kernel/errors/failure.ts';
import type { BackupName } from '../model.ts';
import { openObject } from '../sealed-object.ts';
import type { HistoryPlace } from './forgotten.ts';
import { parseTrashObject, trashObject, trashPrefix } from './names.ts';

/** The backups whose manifests are in the trash, by sequence. */
export async function trashed({ storage }: HistoryPlace, signal?: AbortSignal): Promise<BackupName[]> {
  const names: BackupName[] = [];
  for await (const { name } of storage.list(trashPrefix, { signal })) {
    const parsed = parseTrashObject(name);
    if (parsed !== undefined) names.push(parsed);
  }
  return names;
}

/**
 * Copies a manifest into the trash as it is, damaged or not, and answers the SHA-256 of the bytes that are there then.
 * `backup_unknown` when it is gone.
 */
export async function copyToTrash(
  { storage }: HistoryPlace,
  name: BackupName,
  signal?: AbortSignal,
): Promise<string> {
  const bytes = await storage.get(name.objectName, { signal }).catch((error: unknown) => {
    if (!isFailure(error, 'object_missing')) throw error;
    throw failure('backup_unknown', { reference: name.id, known: '' }, { cause: error });
  });
  try {
    await storage.put(trashObject(name), bytes, { signal });
    return hash('sha256', bytes, 'hex');
  } catch (error) {
    if (!isFailure(error, 'object_exists')) throw error;
    // Left there by an undo that was cut off, before the manifest was damaged: the better copy of the two.
    return hash('sha256', await storage.get(trashObject(name), { signal }), 'hex');
  }
}

/** A manifest in the trash, and its bytes. `object_missing`, `object_damaged`. */
export async function readTrashed(
  { storage, pipelineKeys }: HistoryPlace,
  name: BackupName,
  signal?: AbortSignal,
): Promise<{ readonly manifest: Manifest; readonly bytes: Uint8Array; readonly sha256: string }> {
  const object = trashObject(name);
  const bytes = await storage.get(object, { signal });
  const contents = openObject(pipelineKeys, 'manifest', object, bytes, name.objectName);
  try {
    const manifest = manifestSchema.parse(JSON.parse(Buffer.from(contents).toString()));
    return { manifest, bytes, sha256: hash('sha256', bytes, 'hex') };
  } catch (error) {
    throw failure('object_damaged', { name: object, reason: reasonOf(error) }, { cause: error });
  }
}
