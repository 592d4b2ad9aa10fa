import { s3Schema } from '../src/contract/config-s3.ts';
import { systemClock, type Clock } from '../src/kernel/clock.ts';
import { openS3Storage } from '../src/storage/s3/open.ts';
import type { S3Storage } from '../src/storage/s3/s3-storage.ts';
import type { CephBucket } from './ceph.ts';

export interface CephStorageOptions {
  /** As in a configuration file. */
  readonly settings?: Readonly<Record<string, unknown>>;
  readonly user?: 'owner' | 'agent';
  /** Ends in `/`. */
  readonly prefix?: string;
  readonly clock?: Clock;
}

/** The storage as a command opens it, on a bucket of the tests' Ceph. */
export async function openCephStorage(
  { endpoint, bucket, users }: CephBucket,
  { settings = {}, user = 'owner', prefix = 'backups/shop/', clock = systemClock }: CephStorageOptions = {},
): Promise<S3Storage> {
  const { accessKeyId, secretAccessKey } = users[user];
  const configured = {
    endpoint,
    access_key_id: accessKeyId,
    secret_access_key: secretAccessKey,
    ...settings,
  };
  return await openS3Storage(
    { scheme: 's3', bucket, prefix, overrides: {} },
    { settings: s3Schema.parse(configured), env: {}, clock },
  );
}
