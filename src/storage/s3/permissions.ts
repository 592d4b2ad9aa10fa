import type { S3Deed } from './deed.ts';
import type { S3Place } from './place.ts';

/** What a policy must allow for an operation, where it is not `s3:` and the operation's own name. */
const permissions: Readonly<Record<string, string>> = {
  HeadObject: 's3:GetObject',
  UploadPart: 's3:PutObject',
  CreateMultipartUpload: 's3:PutObject',
  CompleteMultipartUpload: 's3:PutObject',
  ListObjectsV2: 's3:ListBucket',
  ListObjectVersions: 's3:ListBucketVersions',
  HeadBucket: 's3:ListBucket',
  GetBucketLifecycleConfiguration: 's3:GetLifecycleConfiguration',
  PutBucketLifecycleConfiguration: 's3:PutLifecycleConfiguration',
  GetBucketEncryption: 's3:GetEncryptionConfiguration',
  PutBucketEncryption: 's3:PutEncryptionConfiguration',
  GetPublicAccessBlock: 's3:GetBucketPublicAccessBlock',
  PutPublicAccessBlock: 's3:PutBucketPublicAccessBlock',
  GetObjectLockConfiguration: 's3:GetBucketObjectLockConfiguration',
  PutObjectLockConfiguration: 's3:PutBucketObjectLockConfiguration',
  DeleteObjectVersion: 's3:DeleteObjectVersion',
};

const ofObjects = /Object|Part|Upload/;
const ofBuckets = /^(?:List|Head|Get|Put|Create)(?:Bucket|Objects|ObjectVersions|PublicAccess|ObjectLock)/;

/** The action a policy must allow for that deed, and on what. */
export function permissionFor(
  { operation }: Pick<S3Deed, 'operation'>,
  { bucket, prefix }: Pick<S3Place, 'bucket' | 'prefix'>,
): { readonly permission: string; readonly on: string } {
  const permission = permissions[operation] ?? `s3:${operation}`;
  const isOfObjects = ofObjects.test(operation) && !ofBuckets.test(operation);
  return { permission, on: `arn:aws:s3:::${bucket}${isOfObjects ? `/${prefix}*` : ''}` };
}
