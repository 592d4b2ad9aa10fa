import { z } from 'zod';
import { durationSchema, secretSchema, setting, sizeSchema, textSchema } from './config-setting.ts';

const mib = 1024 * 1024;

/** How repositories in Azure Blob Storage are reached. */
export const azureSchema = z
  .strictObject({
    account: setting(textSchema.optional(), {
      description: 'The storage account',
      defaultText: 'AZURE_STORAGE_ACCOUNT',
      example: 'mybackups',
    }),
    account_key: setting(secretSchema.optional(), {
      description: 'A key of the storage account. Better given by the variable than written here',
      secret: 'value',
      defaultText: 'AZURE_STORAGE_KEY',
      example: 'the-key',
    }),
    account_key_file: setting(textSchema.optional(), {
      description: 'File whose first line is a key of the storage account',
      path: true,
      example: '/run/secrets/azure-key',
    }),
    sas_token: setting(secretSchema.optional(), {
      description: 'A shared access signature, instead of a key: for one container, with chosen permissions',
      secret: 'value',
      defaultText: 'AZURE_STORAGE_SAS_TOKEN',
      example: 'sv=…&sr=c&sp=racwdl&sig=…',
    }),
    sas_token_file: setting(textSchema.optional(), {
      description: 'File whose first line is a shared access signature',
      path: true,
      example: '/run/secrets/azure-sas',
    }),
    connection_string: setting(secretSchema.optional(), {
      description: 'A connection string, which holds account, key or signature, and endpoint',
      secret: 'value',
      defaultText: 'AZURE_STORAGE_CONNECTION_STRING',
      example: 'DefaultEndpointsProtocol=https;AccountName=…;AccountKey=…',
    }),
    connection_string_file: setting(textSchema.optional(), {
      description: 'File whose first line is a connection string',
      path: true,
      example: '/run/secrets/azure-connection',
    }),
    endpoint: setting(
      z
        .string({ error: 'must be text' })
        .regex(/^https?:\/\/[^/?#@]+(?:\/[^?#]*)?$/, {
          error: 'must be an address such as https://mybackups.blob.core.windows.net',
        })
        .optional(),
      {
        description:
          'Where the blob service of the account answers, when it is not the public cloud: sovereign clouds, private endpoints, Azurite',
        defaultText: 'https://ACCOUNT.blob.core.windows.net',
        example: 'https://mybackups.blob.core.usgovcloudapi.net',
      },
    ),
    access_tier: setting(z.enum(['Hot', 'Cool', 'Cold']).optional(), {
      description:
        'The tier of packs, which hold nearly all bytes. Everything else has the default of the account. Colder tiers cost to read, and for a least time of storage. Archive cannot be read at once and is not offered',
      defaultText: 'the default of the account',
      example: 'Cool',
    }),
    block_size: setting(
      sizeSchema
        .refine((bytes) => bytes >= mib && bytes <= 100 * mib, { error: 'must be from 1MiB to 100MiB' })
        .prefault('32MiB'),
      { description: 'Up to this size an object is sent in one request; a larger one in blocks of it' },
    ),
    parallel_blocks: setting(
      z
        .number({ error: 'must be a number' })
        .int()
        .min(1, { error: 'must be from 1 to 16' })
        .max(16, { error: 'must be from 1 to 16' })
        .default(4),
      { description: 'How many blocks of one object are sent at once' },
    ),
    connect_timeout: setting(durationSchema.prefault('10s'), {
      description: 'How long to wait for a connection',
    }),
    timeout: setting(durationSchema.prefault('60s'), {
      description:
        'How long to wait while nothing is received or sent, before a request is broken off and tried again',
    }),
  })
  .superRefine((azure, context) => {
    const exclude = (first: keyof typeof azure, second: keyof typeof azure): void => {
      if (azure[first] === undefined || azure[second] === undefined) return;
      const issue = { params: { contradicts: first }, message: 'contradiction' };
      context.addIssue({ code: 'custom', path: [second], ...issue });
    };
    for (const key of ['account_key', 'sas_token', 'connection_string'] as const) exclude(key, `${key}_file`);
    for (const key of ['account_key', 'account_key_file'] as const) {
      exclude(key, 'sas_token');
      exclude(key, 'sas_token_file');
    }
    for (const whole of ['connection_string', 'connection_string_file'] as const) {
      for (const key of [
        'account',
        'account_key',
        'account_key_file',
        'sas_token',
        'sas_token_file',
      ] as const)
        exclude(key, whole);
      exclude('endpoint', whole);
    }
  });

export type AzureConfig = z.output<typeof azureSchema>;
