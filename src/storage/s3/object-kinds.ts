import type { ObjectLockMode, ServerSideEncryption, StorageClass } from '@aws-sdk/client-s3';
import type { S3Config } from '../../contract/config-s3.ts';
import type { S3Context } from './context.ts';

/** Nearly all bytes of a repository lie in its packs; whatever else it has must be read at once, and often. */
const packs = 'packs/';
/** What cannot be made anew. The rest must be possible to delete: indexes, marks, pins, records of what was forgotten. */
const lockedKinds = /^(?:packs\/|snapshots\/|keys\/|wal\/|reports\/|holdfast\.json$)/;
/** A part of WAL goes as soon as the whole unit is stored. */
const partOfWal = /^wal\/.*\.p[0-9a-f]{8}$/;

/** What is asked for an object beyond its bytes. */
export interface ObjectWishes {
  readonly StorageClass?: StorageClass;
  readonly ServerSideEncryption?: ServerSideEncryption;
  readonly SSEKMSKeyId?: string;
  readonly ObjectLockMode?: ObjectLockMode;
  readonly ObjectLockRetainUntilDate?: Date;
}

export function wishesFor(name: string, { place: { settings }, clock }: S3Context): ObjectWishes {
  const { storage_class: storageClass, object_lock: lockMs } = settings;
  const isLocked = lockMs !== undefined && mayBeLocked(name);
  return {
    ...encryptionFor(settings),
    ...(storageClass !== undefined && name.startsWith(packs)
      ? { StorageClass: storageClass as StorageClass }
      : {}),
    ...(isLocked
      ? {
          ObjectLockMode: lockMode(settings.object_lock_mode),
          ObjectLockRetainUntilDate: wholeSecond(clock.now() + lockMs),
        }
      : {}),
  };
}

export function encryptionFor({ encryption, kms_key_id: key }: S3Config): ObjectWishes {
  if (encryption === 'none') return {};
  if (encryption === 'sse-s3') return { ServerSideEncryption: 'AES256' };
  return { ServerSideEncryption: 'aws:kms', ...(key === undefined ? {} : { SSEKMSKeyId: key }) };
}

export function mayBeLocked(name: string): boolean {
  return lockedKinds.test(name) && !partOfWal.test(name);
}

export function lockMode(mode: 'governance' | 'compliance'): ObjectLockMode {
  return mode === 'governance' ? 'GOVERNANCE' : 'COMPLIANCE';
}

/** Services keep whole seconds; rounded up, so that no lock is shorter than asked for. */
export function wholeSecond(ms: number): Date {
  return new Date(Math.ceil(ms / 1000) * 1000);
}
