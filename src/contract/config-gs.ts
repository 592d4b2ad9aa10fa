import { z } from 'zod';
import { setting, textSchema } from './config-setting.ts';

/** How repositories in Google Cloud Storage are reached. */
export const gsSchema = z.strictObject({
  credentials_file: setting(textSchema.optional(), {
    description: 'The JSON file of a service account',
    path: true,
    defaultText: 'GOOGLE_APPLICATION_CREDENTIALS, else what the machine or gcloud has',
    example: '/etc/holdfast/google.json',
  }),
});

export type GsConfig = z.output<typeof gsSchema>;
