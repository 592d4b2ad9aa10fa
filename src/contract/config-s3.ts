import { z } from 'zod';
import { setting, textSchema } from './config-setting.ts';

/** How repositories in S3 and what speaks like it are reached, and what is asked of their buckets. */
export const s3Schema = z.strictObject({
  endpoint: setting(textSchema.optional(), {
    description: 'Where the service answers, when it is not AWS: MinIO, Ceph, R2, B2 and others',
    defaultText: 'AWS_ENDPOINT_URL_S3, AWS_ENDPOINT_URL, else that of AWS in the region',
    example: 'https://s3.example.com',
  }),
});

export type S3Config = z.output<typeof s3Schema>;
