import { GetObjectCommand, ListObjectsV2Command } from '@aws-sdk/client-s3';
import { failure, isFailure } from '../../kernel/errors/failure.ts';
import type { PlaceConcern } from '../description.ts';
import { probeName, putProbe } from './conditional.ts';
import type { S3Context } from './context.ts';
import { configureBucket, createBucket, isUnused } from './create-bucket.ts';
import { describeBucket, objectLockOf, saysUnsupported } from './describe.ts';
import { permissionFor } from './permissions.ts';
import { removeObject } from './remove.ts';
import { deleteVersion } from './lock.ts';
import { encryptionFor, lockMode, wholeSecond } from './object-kinds.ts';

/** More than clocks are off, most often, and nothing that lasts. */
const probeLockMs = 300_000;

export interface PrepareOptions {
  /** Make the bucket when it is not there, and set up one that nothing was ever stored in. */
  readonly createBucket: boolean;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Before a repository is made: the bucket is there, or is made when that is asked for, and everything that a
 * repository needs is tried. Gives what people should know.
 *
 * Rejects with `s3_no_bucket`, `s3_bucket_taken`, `s3_no_lock`, `s3_setting`, `storage_denied` (naming the permission),
 * and what any request rejects with.
 */
export async function prepareBucket(
  context: S3Context,
  { createBucket: isAskedFor, signal }: PrepareOptions,
): Promise<readonly PlaceConcern[]> {
  const told: PlaceConcern[] = [];
  if (isAskedFor) {
    const isThere = await isBucketThere(context, signal);
    if (!isThere) await createBucket(context, signal);
    if (!isThere || (await isUnused(context, signal))) told.push(...(await configureBucket(context, signal)));
    else told.push(...(await describeBucket(context, { signal })).concerns);
  }
  return [...told, ...(await checkAccess(context, signal))];
}

async function isBucketThere(context: S3Context, signal: AbortSignal | undefined): Promise<boolean> {
  try {
    await listSome(context, signal);
    return true;
  } catch (error) {
    if (isFailure(error, 's3_no_bucket')) return false;
    throw error;
  }
}

/** Lists, puts, gets and deletes, so that what is not permitted is named now and not in the middle of a backup. */
export async function checkAccess(
  context: S3Context,
  signal: AbortSignal | undefined,
): Promise<readonly PlaceConcern[]> {
  const { place } = context;
  const told: PlaceConcern[] = [];
  await listSome(context, signal);
  const isConditional = await context.conditional.tryNow(signal);
  if (!isConditional && place.settings.conditional_writes !== false) told.push(unconditional(place.location));
  await checkEncryption(context, signal);
  await checkLock(context, signal);
  const command = new GetObjectCommand({ Bucket: place.bucket, Key: place.prefix + probeName });
  const deed = { operation: 'GetObject', action: 'read', name: probeName };
  await context.calls.run(deed, { signal }, async ({ options }) => {
    const { Body } = await context.client.send(command, options);
    await Body?.transformToByteArray();
  });
  try {
    await removeObject(context, probeName, signal);
  } catch (error) {
    // Of the lock that was tried, or of an earlier one.
    if (isFailure(error, 'storage_locked')) return told;
    if (!isFailure(error, 'storage_denied')) throw error;
    told.push(cannotDelete(context));
  }
  return told;
}

async function listSome({ place, client, calls }: S3Context, signal: AbortSignal | undefined): Promise<void> {
  const command = new ListObjectsV2Command({ Bucket: place.bucket, Prefix: place.prefix, MaxKeys: 1 });
  const deed = { operation: 'ListObjectsV2', action: 'list', name: 'the objects' };
  await calls.run(deed, { signal }, ({ options }) => client.send(command, options));
}

async function checkEncryption(context: S3Context, signal: AbortSignal | undefined): Promise<void> {
  const { location, settings } = context.place;
  if (settings.encryption === 'none') return;
  try {
    await putProbe(context, encryptionFor(settings), signal);
  } catch (error) {
    if (!saysUnsupported(error)) throw error;
    const reason = `this service cannot encrypt with ${settings.encryption}`;
    const mend =
      'take s3.encryption out of the settings; the repository is encrypted by Holdfast in any case';
    throw failure('s3_setting', { location, reason, mend }, { cause: error });
  }
}

/** Locks the probe for some minutes and tries to delete it all the same. */
async function checkLock(context: S3Context, signal: AbortSignal | undefined): Promise<void> {
  const { bucket, settings } = context.place;
  if (settings.object_lock === undefined) return;
  if ((await objectLockOf(context, signal)) === 'off')
    throw failure('s3_no_lock', { bucket, reason: 'it was made without object lock' });
  const lock = {
    ObjectLockMode: lockMode(settings.object_lock_mode),
    ObjectLockRetainUntilDate: wholeSecond(context.clock.now() + probeLockMs),
  };
  const { VersionId: version } = await putProbe(context, lock, signal);
  try {
    if (version !== undefined) await deleteVersion(context, probeName, version, signal);
  } catch (error) {
    if (isFailure(error, 'storage_locked') || isFailure(error, 'storage_denied')) return;
    throw error;
  }
  throw failure('s3_no_lock', { bucket, reason: 'it takes locks, and does not keep them' });
}

function unconditional(location: string): PlaceConcern {
  return {
    message: `${location}: this service, or this bucket with versioning, overwrites even when it is asked not to (If-None-Match)`,
    mend: 'Holdfast looks before and after instead, which costs two more requests for each object',
  };
}

/** No mistake where an agent that only adds is what is wanted. */
function cannotDelete({ place }: S3Context): PlaceConcern {
  const { permission, on } = permissionFor({ operation: 'DeleteObject' }, place);
  return {
    message: `${place.location}: these credentials cannot delete (${permission} on ${on}): they can add backups, and neither clean nor prune`,
    mend: 'clean and prune with other credentials; docs/storage-s3.md has the policies of both',
  };
}
