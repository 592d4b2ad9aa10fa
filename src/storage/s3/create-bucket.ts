import {
  CreateBucketCommand,
  ListObjectVersionsCommand,
  PutBucketEncryptionCommand,
  PutBucketVersioningCommand,
  PutPublicAccessBlockCommand,
  type BucketLocationConstraint,
} from '@aws-sdk/client-s3';
import { failure, isFailure, reasonOf } from '../../kernel/errors/failure.ts';
import type { PlaceConcern } from '../description.ts';
import { putProbe } from './conditional.ts';
import type { RequestContext } from './calls.ts';
import type { S3Context } from './context.ts';
import { encryptionOf, saysUnsupported, versioningOf } from './describe.ts';
import { serviceCodeOf } from './errors.ts';
import { setLifecycle } from './lifecycle.ts';

/** Makes the bucket; with object lock, where the settings want it. `s3_bucket_taken` when somebody else has that name. */
export async function createBucket(context: S3Context, signal: AbortSignal | undefined): Promise<void> {
  const { bucket, isAws, region, location, settings } = context.place;
  const constraint = isAws && region !== undefined && region !== 'us-east-1' ? region : undefined;
  const command = new CreateBucketCommand({
    Bucket: bucket,
    ...(settings.object_lock === undefined ? {} : { ObjectLockEnabledForBucket: true }),
    ...(constraint === undefined
      ? {}
      : { CreateBucketConfiguration: { LocationConstraint: constraint as BucketLocationConstraint } }),
  });
  try {
    await run(context, 'CreateBucket', signal, ({ options }) => context.client.send(command, options));
  } catch (error) {
    const code = serviceCodeOf(error);
    if (code === 'BucketAlreadyOwnedByYou') return;
    if (code === 'BucketAlreadyExists')
      throw failure('s3_bucket_taken', { bucket, location }, { cause: error });
    throw error;
  }
}

/** Nothing was ever stored in it, so that it harms nobody to set it up as ours. */
export async function isUnused(
  { place, client, calls }: S3Context,
  signal: AbortSignal | undefined,
): Promise<boolean> {
  const command = new ListObjectVersionsCommand({ Bucket: place.bucket, MaxKeys: 1 });
  const deed = {
    operation: 'ListObjectVersions',
    action: 'list the versions in',
    name: `bucket ${place.bucket}`,
  };
  const answer = await calls.run(deed, { signal }, ({ options }) => client.send(command, options));
  return (answer.Versions ?? []).length + (answer.DeleteMarkers ?? []).length === 0;
}

/** Versioning, lifecycle, no public access, encryption. What the service lacks, or does not permit, is told and left. */
export async function configureBucket(
  context: S3Context,
  signal: AbortSignal | undefined,
): Promise<readonly PlaceConcern[]> {
  const { bucket } = context.place;
  const told: PlaceConcern[] = [];
  const attempt = async (what: string, act: () => Promise<void>): Promise<void> => {
    try {
      await act();
    } catch (error) {
      signal?.throwIfAborted();
      if (!saysUnsupported(error) && !isFailure(error, 'storage_denied')) throw error;
      const why = isFailure(error, 'storage_denied') ? 'is not permitted' : 'is not known to this service';
      told.push({ message: `bucket ${bucket}: ${what} ${why} (${reasonOf(error)})` });
    }
  };
  await attempt('versioning', () => enableVersioning(context, signal));
  await attempt('a lifecycle', () => setLifecycle(context, signal));
  await attempt('blocking public access', async () => {
    told.push(...(await blockPublicAccess(context, signal)));
  });
  await attempt('encryption by default', () => encryptByDefault(context, signal));
  return told;
}

async function enableVersioning(context: S3Context, signal: AbortSignal | undefined): Promise<void> {
  if ((await versioningOf(context, signal)) === 'enabled') return;
  const command = new PutBucketVersioningCommand({
    Bucket: context.place.bucket,
    VersioningConfiguration: { Status: 'Enabled' },
  });
  await run(context, 'PutBucketVersioning', signal, ({ options }) => context.client.send(command, options));
}

/** Ceph 16 takes blocking public ACLs for refusing every put; ignoring them comes to the same. */
async function blockPublicAccess(
  context: S3Context,
  signal: AbortSignal | undefined,
): Promise<readonly PlaceConcern[]> {
  const block = async (acls: boolean): Promise<void> => {
    const command = new PutPublicAccessBlockCommand({
      Bucket: context.place.bucket,
      PublicAccessBlockConfiguration: {
        BlockPublicAcls: acls,
        IgnorePublicAcls: true,
        BlockPublicPolicy: true,
        RestrictPublicBuckets: true,
      },
    });
    await run(context, 'PutPublicAccessBlock', signal, ({ options }) =>
      context.client.send(command, options),
    );
  };
  await putProbe(context, {}, signal);
  await block(true);
  try {
    await putProbe(context, {}, signal);
    return [];
  } catch (error) {
    if (!isFailure(error, 'storage_denied')) throw error;
    await block(false);
    await putProbe(context, {}, signal);
    const message = `bucket ${context.place.bucket}: this service refuses every put when public ACLs are blocked; they are ignored instead`;
    return [{ message }];
  }
}

async function encryptByDefault(context: S3Context, signal: AbortSignal | undefined): Promise<void> {
  const { bucket, settings } = context.place;
  // AWS encrypts every new bucket by itself.
  if (settings.encryption === 'none' && (await encryptionOf(context, signal)) !== 'none') return;
  const isKms = settings.encryption === 'sse-kms';
  const key = isKms && settings.kms_key_id !== undefined ? { KMSMasterKeyID: settings.kms_key_id } : {};
  const rule = {
    ApplyServerSideEncryptionByDefault: {
      SSEAlgorithm: isKms ? ('aws:kms' as const) : ('AES256' as const),
      ...key,
    },
    ...(isKms ? { BucketKeyEnabled: true } : {}),
  };
  const command = new PutBucketEncryptionCommand({
    Bucket: bucket,
    ServerSideEncryptionConfiguration: { Rules: [rule] },
  });
  await run(context, 'PutBucketEncryption', signal, ({ options }) => context.client.send(command, options));
}

async function run<T>(
  { calls, place }: S3Context,
  operation: string,
  signal: AbortSignal | undefined,
  act: (request: RequestContext) => Promise<T>,
): Promise<T> {
  const action = operation === 'CreateBucket' ? 'create' : 'configure';
  return await calls.run({ operation, action, name: `bucket ${place.bucket}` }, { signal }, act);
}
