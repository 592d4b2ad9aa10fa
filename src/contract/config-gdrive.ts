import { z } from 'zod';
import { setting, textSchema } from './config-setting.ts';

/** How repositories in Google Drive are reached. */
export const gdriveSchema = z.strictObject({
  credentials_file: setting(textSchema.optional(), {
    description: 'The JSON file of a service account',
    path: true,
    example: '/etc/holdfast/google.json',
  }),
});

export type GdriveConfig = z.output<typeof gdriveSchema>;
