import { z } from 'zod';
import { durationSchema, setting } from './config-setting.ts';

/** What verify expects. */
export const verifySchema = z.strictObject({
  max_age: setting(durationSchema.optional(), {
    description:
      'How old the newest good backup of each source may be when verify looks: an older one is a problem, as damage is',
    example: '26h',
  }),
});

/** The same of one source. */
export const maxAgeSetting = () =>
  setting(durationSchema.optional(), {
    description:
      'How old the newest good backup of this source may be when verify looks, in place of verify.max_age',
    example: '26h',
  });
