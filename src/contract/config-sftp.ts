import { z } from 'zod';
import { durationSchema, setting } from './config-setting.ts';

/** How repositories on servers with SFTP are reached. */
export const sftpSchema = z.strictObject({
  connect_timeout: setting(durationSchema.prefault('30s'), {
    description: 'How long connecting to a server may take',
  }),
});

export type SftpConfig = z.output<typeof sftpSchema>;
