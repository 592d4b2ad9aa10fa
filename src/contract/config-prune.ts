import { z } from 'zod';
import { durationSchema, setting } from './config-setting.ts';

const notAShare = { error: 'must be a share such as 5% or 0.05' };
const sharePattern = /^(\d+(?:\.\d+)?)(%?)$/;

/** `5%`, `0.05` or the number; parsed to a number from 0 to 1. */
const shareSchema = z
  .union([z.number(), z.string().regex(sharePattern, notAShare)], notAShare)
  .transform((value) => {
    if (typeof value === 'number') return value;
    const [, digits, percent] = sharePattern.exec(value) ?? [];
    return Number(digits) / (percent === '%' ? 100 : 1);
  })
  .refine((share) => share >= 0 && share <= 1, notAShare);

/** How space is given back. */
export const pruneSchema = z.strictObject({
  grace: setting(durationSchema.prefault('72h'), {
    description:
      'How long what no backup needs waits between being marked and being removed. It must be longer than any backup may be suspended, and half of it is the time in which forget can be undone',
  }),
  max_unused: setting(shareSchema.prefault('5%'), {
    description:
      'So much of what packs hold beside what is needed may stay, as a share of what is needed. Less saves space, and costs reading and writing packs anew',
  }),
});
