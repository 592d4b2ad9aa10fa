import { z } from 'zod';
import { setting, textSchema } from './config-setting.ts';

/** How repositories in Azure Blob Storage are reached. */
export const azureSchema = z.strictObject({
  account: setting(textSchema.optional(), {
    description: 'The storage account',
    defaultText: 'AZURE_STORAGE_ACCOUNT',
    example: 'mybackups',
  }),
});

export type AzureConfig = z.output<typeof azureSchema>;
