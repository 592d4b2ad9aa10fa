import { z } from 'zod';
import { durationSchema, secretSchema, setting, sizeSchema, textSchema } from './config-setting.ts';
import { excluding } from './config-postgres-connection.ts';

/** What a resumable upload is cut into must be a multiple of 256 KiB. */
const uploadUnitBytes = 256 * 1024;

/** How repositories in Google Drive are reached. */
export const gdriveSchema = z
  .strictObject({
    credentials_file: setting(textSchema.optional(), {
      description: 'The JSON file of a service account. Excludes client_id and refresh_token',
      path: true,
      defaultText: 'GOOGLE_APPLICATION_CREDENTIALS, where neither this nor refresh_token is set',
      example: '/etc/holdfast/google.json',
    }),
    subject: setting(textSchema.optional(), {
      description:
        'The user in whose name a service account works, where the domain lets it (domain-wide delegation)',
      example: 'backup@example.com',
    }),
    client_id: setting(textSchema.optional(), {
      description: 'The OAuth client that a user has consented to',
      example: '1234-abcd.apps.googleusercontent.com',
    }),
    client_secret: setting(secretSchema.optional(), {
      description: 'The secret of that client',
      secret: 'value',
      example: '${GOOGLE_CLIENT_SECRET}',
    }),
    client_secret_file: setting(textSchema.optional(), {
      description: 'File whose first line is the secret of the client',
      path: true,
      example: '/run/secrets/google-client',
    }),
    refresh_token: setting(secretSchema.optional(), {
      description: 'What the user’s consent was answered with',
      secret: 'value',
      example: '${GOOGLE_REFRESH_TOKEN}',
    }),
    refresh_token_file: setting(textSchema.optional(), {
      description: 'File whose first line is the refresh token',
      path: true,
      example: '/run/secrets/google-refresh-token',
    }),
    endpoint: setting(
      z.url({ protocol: /^https?$/, error: 'must be a URL such as https://www.googleapis.com' }).optional(),
      {
        description: 'Where the Drive API answers, when something stands in for Google',
        defaultText: 'https://www.googleapis.com',
        example: 'https://drive.example.com',
      },
    ),
    chunk_size: setting(
      sizeSchema
        .refine((bytes) => bytes >= uploadUnitBytes && bytes % uploadUnitBytes === 0, {
          error: 'must be a multiple of 256KiB',
        })
        .prefault('32MiB'),
      {
        description:
          'Objects of more than 5 MB are sent in pieces of this size, of which only the last is sent again when the connection breaks',
      },
    ),
    connect_timeout: setting(durationSchema.prefault('10s'), {
      description: 'How long to wait for a connection',
    }),
    timeout: setting(durationSchema.prefault('60s'), {
      description:
        'How long to wait while nothing is received or sent, before a request is broken off and tried again',
    }),
  })
  .superRefine((settings, context) => {
    const exclude = excluding(settings, context);
    exclude('client_secret', 'client_secret_file');
    exclude('refresh_token', 'refresh_token_file');
    for (const key of ['client_id', 'refresh_token', 'refresh_token_file']) exclude('credentials_file', key);
  });

export type GdriveConfig = z.output<typeof gdriveSchema>;
