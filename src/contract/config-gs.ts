import { z } from 'zod';
import { durationSchema, setting, sizeSchema, textSchema } from './config-setting.ts';

/** What a resumable upload is cut into must be a multiple of 256 KiB. */
const uploadUnitBytes = 256 * 1024;

/** How repositories in Google Cloud Storage are reached, and what is asked of their buckets. */
export const gsSchema = z.strictObject({
  credentials_file: setting(textSchema.optional(), {
    description: 'The JSON file of a service account, or another kind of credentials as gcloud writes them',
    path: true,
    defaultText:
      'GOOGLE_APPLICATION_CREDENTIALS, else what gcloud left, else the metadata server of the machine',
    example: '/etc/holdfast/google.json',
  }),
  endpoint: setting(
    z.url({ protocol: /^https?$/, error: 'must be a URL such as http://127.0.0.1:4443' }).optional(),
    {
      description:
        'Where the service answers, when it is not Google: an emulator, or a private endpoint. Over http:// credentials are sent only when credentials_file names them',
      defaultText: 'STORAGE_EMULATOR_HOST, else https://storage.googleapis.com',
      example: 'https://storage-eu.p.googleapis.com',
    },
  ),
  project: setting(textSchema.optional(), {
    description: 'The project in which a bucket is created, when it is asked for',
    defaultText: 'GOOGLE_CLOUD_PROJECT, else that of the service account',
    example: 'shop-backups',
  }),
  bucket_location: setting(textSchema.optional(), {
    description:
      'Where a bucket is created, when it is asked for: a region, a pair of regions, or a continent',
    example: 'europe-west4',
  }),
  storage_class: setting(
    z
      .enum(['STANDARD', 'NEARLINE', 'COLDLINE', 'ARCHIVE'], {
        error: 'must be STANDARD, NEARLINE, COLDLINE or ARCHIVE',
      })
      .optional(),
    {
      description:
        'Storage class of packs, which hold nearly all bytes. Everything else has that of the bucket. Colder classes cost to read and for a least time of storage',
      defaultText: 'that of the bucket',
      example: 'NEARLINE',
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
        'Up to this size an object is sent in one request; a larger one in pieces of it, of which only the last is sent again when the connection breaks',
    },
  ),
  connect_timeout: setting(durationSchema.prefault('10s'), {
    description: 'How long to wait for a connection',
  }),
  timeout: setting(durationSchema.prefault('60s'), {
    description:
      'How long to wait while nothing is received or sent, before a request is broken off and tried again',
  }),
});

export type GsConfig = z.output<typeof gsSchema>;
