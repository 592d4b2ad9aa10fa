import { z } from 'zod';
import { retentionSchema } from './config-retention.ts';
import { setting, textSchema } from './config-setting.ts';
import { storageKinds } from './config-storage.ts';

const yesNo = z.boolean({ error: 'must be true or false' });

/** One of several places that hold the same repository: the primary, or a copy of it. */
export const repositorySchema = z.strictObject({
  url: setting(textSchema, {
    description: 'Where it is, written as repository is',
    path: true,
    example: 's3://my-bucket/backups',
  }),
  with_backup: setting(yesNo.default(true), {
    description:
      'Whether every backup is copied there at once. A copy that cannot be reached, or is slow, does not keep a backup from being made: the next one, or holdfast sync, catches up. Of the primary it means nothing',
  }),
  retention: retentionSchema.optional(),
  ...Object.fromEntries(Object.entries(storageKinds).map(([kind, schema]) => [kind, schema.optional()])),
} as {
  readonly url: z.ZodString;
  readonly with_backup: z.ZodDefault<z.ZodBoolean>;
  readonly retention: z.ZodOptional<typeof retentionSchema>;
} & { readonly [K in keyof typeof storageKinds]: z.ZodOptional<(typeof storageKinds)[K]> });

export type RepositoryPlaceConfig = z.output<typeof repositorySchema>;
