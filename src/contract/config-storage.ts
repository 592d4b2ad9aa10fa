import type { z } from 'zod';
import { azureSchema } from './config-azure.ts';
import { gdriveSchema } from './config-gdrive.ts';
import { gsSchema } from './config-gs.ts';
import { s3Schema } from './config-s3.ts';
import { sftpSchema } from './config-sftp.ts';

/** What can be set of each kind of storage, by the scheme of its locations. */
export const storageKinds = {
  s3: s3Schema,
  sftp: sftpSchema,
  azure: azureSchema,
  gs: gsSchema,
  gdrive: gdriveSchema,
} as const;

/** The same as sections of the configuration. */
export const storageSections = {
  s3: s3Schema.prefault({}),
  sftp: sftpSchema.prefault({}),
  azure: azureSchema.prefault({}),
  gs: gsSchema.prefault({}),
  gdrive: gdriveSchema.prefault({}),
} as const;

export type StorageSettings = {
  readonly [K in keyof typeof storageSections]: z.output<(typeof storageSections)[K]>;
};
