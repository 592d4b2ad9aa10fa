import { z } from 'zod';
import { durationSchema, secretSchema, setting, sizeSchema, textSchema } from './config-setting.ts';

const dayMs = 86_400_000;
const mib = 2 ** 20;

const endpointSchema = z
  .string({ error: 'must be text' })
  .transform((text) => (/^https?:\/\//i.test(text) ? text : `https://${text}`))
  .refine((text) => URL.canParse(text), { error: 'must be a host or a URL such as https://s3.example.com' });

function autoOrYesNo() {
  return z.union([z.literal('auto'), z.boolean()], { error: 'must be auto, true or false' }).default('auto');
}

/** In whatever currency: only sums are shown. */
function price() {
  return z.number({ error: 'must be a number' }).min(0, { error: 'must not be negative' }).optional();
}

/** Classes whose objects must be asked for hours before they can be read. */
const notAtOnce: ReadonlySet<string> = new Set(['GLACIER', 'DEEP_ARCHIVE']);

const storageClassSchema = z
  .string({ error: 'must be text' })
  .regex(/^[A-Z][A-Z0-9_-]*$/, { error: 'must be a name in capitals such as STANDARD_IA' })
  .refine((name) => !notAtOnce.has(name), {
    error: 'cannot be a class that is not read at once: no backup in it could be restored or verified',
  });

/** How repositories in S3 and what speaks like it are reached, and what is asked of their buckets. */
export const s3Schema = z
  .strictObject({
    endpoint: setting(endpointSchema.optional(), {
      description: 'Where the service answers, when it is not AWS: MinIO, Ceph, R2, B2 and others',
      defaultText: 'AWS_ENDPOINT_URL_S3, AWS_ENDPOINT_URL, else that of AWS in the region',
      example: 'https://s3.example.com',
    }),
    region: setting(textSchema.optional(), {
      description: 'The region of the bucket',
      defaultText: 'AWS_REGION, AWS_DEFAULT_REGION, that of the profile, else what the endpoint tells',
      example: 'eu-central-1',
    }),
    path_style: setting(autoOrYesNo(), {
      description:
        'Whether the bucket is named in the path (true) or in the host name (false). auto: in the path wherever an endpoint other than of AWS is given',
    }),
    profile: setting(textSchema.optional(), {
      description: 'The profile of ~/.aws/config and ~/.aws/credentials to use',
      defaultText: 'AWS_PROFILE',
      example: 'backups',
    }),
    access_key_id: setting(textSchema.optional(), {
      description: 'The id of the access key',
      defaultText:
        'AWS_ACCESS_KEY_ID, else what the AWS SDK finds: profiles, single sign-on, the role of the machine',
      example: 'AKIAIOSFODNN7EXAMPLE',
    }),
    secret_access_key: setting(secretSchema.optional(), {
      description: 'The secret of the access key. Better given by the variable than written here',
      secret: 'value',
      defaultText: 'AWS_SECRET_ACCESS_KEY',
      example: 'the-secret',
    }),
    secret_access_key_file: setting(textSchema.optional(), {
      description: 'File whose first line is the secret of the access key',
      path: true,
      example: '/run/secrets/s3',
    }),
    session_token: setting(secretSchema.optional(), {
      description: 'The token that belongs to temporary access keys',
      secret: 'value',
      defaultText: 'AWS_SESSION_TOKEN',
      example: 'the-token',
    }),
    ca_file: setting(textSchema.optional(), {
      description:
        'Certificates in PEM that are trusted beside the usual ones, for a service with a CA of its own',
      path: true,
      defaultText: 'AWS_CA_BUNDLE',
      example: '/etc/ssl/certs/internal-ca.pem',
    }),
    storage_class: setting(storageClassSchema.optional(), {
      description:
        'Storage class of packs, which hold nearly all bytes. Everything else has the class STANDARD. Colder classes cost to read and for a least time of storage',
      defaultText: 'that of the bucket, which is STANDARD',
      example: 'STANDARD_IA',
    }),
    encryption: setting(z.enum(['none', 'sse-s3', 'sse-kms']).default('none'), {
      description:
        'What the service is asked to encrypt with, beside the encryption of the repository. none: nothing is asked, and the default of the bucket holds',
    }),
    kms_key_id: setting(textSchema.optional(), {
      description: 'The key in KMS, for sse-kms',
      defaultText: 'the key of AWS for S3',
      example: 'arn:aws:kms:eu-central-1:111122223333:key/…',
    }),
    part_size: setting(
      sizeSchema
        .refine((bytes) => bytes >= 5 * mib && bytes <= 5 * 1024 * mib, {
          error: 'must be from 5MiB to 5GiB',
        })
        .prefault('32MiB'),
      { description: 'Up to this size an object is sent in one request; a larger one in parts of it' },
    ),
    parallel_parts: setting(
      z
        .number({ error: 'must be a number' })
        .int()
        .min(1)
        .max(16, { error: 'must be from 1 to 16' })
        .default(4),
      { description: 'How many parts of one object are sent at once' },
    ),
    connect_timeout: setting(durationSchema.prefault('10s'), {
      description: 'How long to wait for a connection',
    }),
    timeout: setting(durationSchema.prefault('60s'), {
      description:
        'How long to wait while nothing is received or sent, before a request is broken off and tried again. In all a request may take twice this and a second for every 64 KiB',
    }),
    conditional_writes: setting(autoOrYesNo(), {
      description:
        'Whether the service keeps the condition that an object must not be there yet (If-None-Match). auto: tried with a small object named .holdfast-probe before the first object is stored; AWS is known to',
    }),
    delete_versions: setting(autoOrYesNo(), {
      description:
        'In a bucket with versioning: whether what is deleted is gone at once (true), or only hidden until the lifecycle of the bucket removes it (false). auto: true with object_lock, which protects by itself, else false',
    }),
    versions_expire: setting(durationSchema.prefault('30d'), {
      description:
        'What init --create-bucket makes the lifecycle of a bucket: when what was deleted or replaced goes for good',
    }),
    object_lock: setting(
      durationSchema.refine((ms) => ms >= dayMs, { error: 'must be at least 1d' }).optional(),
      {
        description:
          'How long the service must refuse to delete what is stored, whoever asks. The bucket must have been made with object lock (init --create-bucket does)',
        defaultText: 'objects are not locked',
        example: '30d',
      },
    ),
    price_storage: setting(price(), {
      description:
        'What a GiB costs for a month, for the estimate of size and status, where your prices are other than the public list, or the service is not in it',
      defaultText: 'the list price of AWS, Cloudflare R2 and Backblaze B2; none for other services',
      example: '0.023',
    }),
    price_puts: setting(price(), {
      description: 'What 1000 requests cost that store or list, for the estimate',
      defaultText: 'the list price, where there is one',
      example: '0.005',
    }),
    price_gets: setting(price(), {
      description: 'What 1000 requests cost that read, for the estimate',
      defaultText: 'the list price, where there is one',
      example: '0.0004',
    }),
    object_lock_mode: setting(z.enum(['governance', 'compliance']).default('governance'), {
      description:
        'governance: who has a special permission can lift a lock. compliance: nobody can, not even the owner of the account',
    }),
  })
  .superRefine((s3, context) => {
    const exclude = (first: keyof typeof s3, second: keyof typeof s3): void => {
      if (s3[first] === undefined || s3[second] === undefined) return;
      const issue = { params: { contradicts: first }, message: 'contradiction' };
      context.addIssue({ code: 'custom', path: [second], ...issue });
    };
    exclude('secret_access_key', 'secret_access_key_file');
    exclude('access_key_id', 'profile');
  });

export type S3Config = z.output<typeof s3Schema>;
