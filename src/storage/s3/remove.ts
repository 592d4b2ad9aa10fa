import { DeleteObjectCommand } from '@aws-sdk/client-s3';
import { isFailure } from '../../kernel/errors/failure.ts';
import { keyOf, type S3Context } from './context.ts';
import type { S3Deed } from './deed.ts';
import { deleteAllVersions } from './versions.ts';

/**
 * Removes an object as the settings say: for good, with all its versions, or as the bucket does it, which with
 * versioning is only to hide it. A lock protects by itself what must not go, and a marker over it would only hide a
 * backup that is still there: so with locks it is for good, or refused with `storage_locked`.
 */
export async function removeObject(
  context: S3Context,
  name: string,
  signal: AbortSignal | undefined,
): Promise<void> {
  const { delete_versions: chosen, object_lock: lock } = context.place.settings;
  if (chosen === true || (chosen === 'auto' && lock !== undefined)) {
    await deleteAllVersions(context, name, signal);
    return;
  }
  const command = new DeleteObjectCommand(keyOf(context, name));
  const deed: S3Deed = { operation: 'DeleteObject', action: 'delete', name };
  try {
    await context.calls.run(deed, { signal }, ({ options }) => context.client.send(command, options));
  } catch (error) {
    if (!isFailure(error, 'object_missing')) throw error;
  }
}
