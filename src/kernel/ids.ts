import { randomBytes } from 'node:crypto';

declare const brand: unique symbol;
type Branded<T, B extends string> = T & { readonly [brand]: B };

/** 32 lower-case hexadecimal digits, random; made when the repository is. */
export type RepositoryId = Branded<string, 'RepositoryId'>;
/** 32 lower-case hexadecimal digits, random; made when the backup starts. */
export type BackupId = Branded<string, 'BackupId'>;
/** 64 lower-case hexadecimal digits: the SHA-256 of the pack's bytes. */
export type PackId = Branded<string, 'PackId'>;
/** 64 lower-case hexadecimal digits: the keyed hash of a blob's type and plain bytes. */
export type BlobId = Branded<string, 'BlobId'>;
/** 16 lower-case hexadecimal digits, random. */
export type KeyId = Branded<string, 'KeyId'>;

export const newRepositoryId = (): RepositoryId => randomBytes(16).toString('hex') as RepositoryId;
export const newBackupId = (): BackupId => randomBytes(16).toString('hex') as BackupId;
export const newKeyId = (): KeyId => randomBytes(8).toString('hex') as KeyId;
